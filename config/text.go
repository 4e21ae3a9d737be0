package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// env merges the ICEBOX_ variables.
func (l *loader) env(environ []string) {
	known := make(map[string]setting)
	for _, s := range settings() {
		known[s.env()] = s
	}
	layer := make(map[string]found)
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		s, ok := known[name]
		switch {
		case !strings.HasPrefix(name, envPrefix), text == "", name == EnvFile, kubernetes.MatchString(name):
		case ok:
			if f, ok := l.text(s, text, name); ok {
				layer[s.path] = f
			}
		default:
			l.failAt(position{where: name}, "", "unknown variable%s", didYouMean(suggestEnv(name, known)))
		}
	}
	l.merge(layer)
}

// suggestEnv returns a variable with a name near to name. Keys inside a list or
// record have no variable; for these it returns the variable of the list or
// record.
func suggestEnv(name string, known map[string]setting) string {
	names := slices.Sorted(maps.Keys(known))
	var short []string
	for _, n := range names {
		short = append(short, strings.TrimPrefix(n, envPrefix))
	}
	if near := suggest(strings.TrimPrefix(name, envPrefix), short); near != "" {
		return envPrefix + near
	}
	for _, n := range names {
		if strings.HasPrefix(name, n+"_") {
			return n
		}
	}
	return ""
}

// flags merges the command line, which overrides everything else.
func (l *loader) flags(given map[string]string) {
	for _, s := range settings() {
		if text, ok := given[s.path]; ok {
			if f, ok := l.text(s, text, "--"+flagName(s.path)); ok {
				l.merged.Set(s.path, f)
			}
		}
	}
}

// text decodes a setting from an environment variable or a flag: YAML flow
// text for lists and records, or scalars with commas between them.
func (l *loader) text(s setting, text, where string) (found, bool) {
	d := decoder{report: l.report, where: where}
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	isList := s.typ.Kind() == reflect.Slice
	switch structured := isList || isRecord(s.typ); {
	case structured && strings.ContainsAny(text[:min(1, len(text))], "[{"):
		var err error
		if n, err = parse([]byte(text)); err != nil {
			_, text := syntaxError(err)
			d.failAt(position{where: where}, s.path, "%s", text)
			return found{}, false
		}
	case isList:
		n = &yaml.Node{Kind: yaml.SequenceNode}
		for item := range strings.SplitSeq(text, ",") {
			n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: strings.TrimSpace(item)})
		}
	}
	return d.setting(n, s.typ, s.path), true
}
