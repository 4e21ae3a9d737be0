package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	_ "embed"

	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"
)

//go:embed defaults.yaml
var defaults []byte

// Source has the sources of a configuration. The zero value is a source of the defaults only.
type Source struct {
	Path     string            // the file; "" for none
	Env      []string          // NAME=value as from os.Environ
	Flags    map[string]string // by key such as log.level: flags the user gave
	StateDir string            // default of state_dir; "" is /var/lib/icebox

	// ReadFile reads the configuration file and the secret files and returns
	// their content and mode. If nil, regular files are read from disk.
	ReadFile func(name string) ([]byte, os.FileMode, error)
}

// FlagName returns the command line flag that sets a key such as log.level,
// without the leading dashes.
func FlagName(key string) string { return flagName(key) }

// Load reads all sources in s. Its error is of type Errors and holds every
// mistake.
func Load(s Source) (*Config, error) {
	if s.ReadFile == nil {
		s.ReadFile = readFile
	}
	if s.StateDir == "" {
		s.StateDir = "/var/lib/icebox"
	}
	l := loader{report: newReport(), merged: viper.New()}
	l.defaults(s.StateDir)
	l.file(s)
	l.env(s.Env)
	l.flags(s.Flags)
	c := l.config()

	check := checker{report: l.report, Config: c, readFile: s.ReadFile}
	if s.Path != "" {
		check.dir = filepath.Dir(s.Path)
	}
	check.all()
	if err := l.err(); err != nil {
		return nil, err
	}
	c.positions = l.at
	return c, nil
}

// loader collects the layers.
type loader struct {
	*report
	merged *viper.Viper
}

// found is the value of one setting in one layer.
type found struct {
	value reflect.Value
	at    map[string]position // of the value and of everything inside it
}

func (l *loader) defaults(stateDir string) {
	layer := l.yaml(defaults, "", false)
	for path, f := range layer {
		l.merged.SetDefault(path, f)
	}
	l.merged.SetDefault("state_dir", found{value: reflect.ValueOf(stateDir)})
}

// file merges the configuration file.
func (l *loader) file(s Source) {
	if s.Path == "" {
		return
	}
	data, _, err := s.ReadFile(s.Path)
	if err != nil {
		l.failAt(position{where: s.Path}, "", "%w", err)
		return
	}
	l.merge(l.yaml(data, s.Path, true))
}

// merge adds a layer that overrides all earlier ones.
func (l *loader) merge(layer map[string]found) {
	tree := make(map[string]any)
	for path, f := range layer {
		at, names := tree, strings.Split(path, ".")
		for _, name := range names[:len(names)-1] {
			if at[name] == nil {
				at[name] = make(map[string]any)
			}
			at = at[name].(map[string]any)
		}
		at[names[len(names)-1]] = f
	}
	if err := l.merged.MergeConfigMap(tree); err != nil {
		l.failAt(position{}, "", "%w", err)
	}
}

// yaml reads a whole document and returns its settings.
func (l *loader) yaml(data []byte, where string, lines bool) map[string]found {
	d := decoder{report: l.report, where: where, lines: lines}
	n, err := parse(data)
	if err != nil {
		line, text := syntaxError(err)
		d.failAt(position{where, line}, "", "%s", text)
		return nil
	}
	layer := make(map[string]found)
	d.settings(n, reflect.TypeFor[Config](), "", layer)
	return layer
}

// parse returns the root of the only document in data, or a null node if there is
// no document.
func parse(data []byte) (*yaml.Node, error) {
	in := yaml.NewDecoder(bytes.NewReader(data))
	var doc, next yaml.Node
	switch err := in.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}, nil
	case err != nil:
		return nil, err
	}
	if err := in.Decode(&next); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one YAML document")
	}
	return doc.Content[0], nil
}

// syntaxError separates the line from the text of an error of package yaml.
func syntaxError(err error) (line int, text string) {
	text = strings.TrimPrefix(err.Error(), "yaml: ")
	if strings.Contains(text, "unknown anchor") {
		return 0, errAnchor.Error()
	}
	if before, after, ok := strings.Cut(text, ": "); ok {
		if _, scanErr := fmt.Sscanf(before, "line %d", &line); scanErr == nil {
			return line, after
		}
	}
	return 0, text
}

// settings decodes every setting below n, which has the keys of t.
func (d *decoder) settings(n *yaml.Node, t reflect.Type, path string, layer map[string]found) {
	if err := plain(n); err != nil {
		d.failAt(d.positionOf(n), path, "%w", err)
		return
	}
	if n.ShortTag() == "!!null" {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.failAt(d.positionOf(n), path, "want %s, got %s", noun(t), kind(n))
		return
	}
	d.record(n, t, path, func(f field, n *yaml.Node, path string) {
		ft := t.Field(f.index).Type
		switch {
		case !isSetting(ft):
			d.settings(n, ft, path, layer)
		case ft.Kind() == reflect.Slice && n.ShortTag() == "!!null":
			// There are only comments below the key.
		default:
			layer[path] = d.setting(n, ft, path)
		}
	})
}

// setting decodes one setting and records the positions of its own values only.
func (d *decoder) setting(n *yaml.Node, t reflect.Type, path string) found {
	outer := d.at
	defer func() { d.at = outer }()
	d.at = make(map[string]position)
	f := found{reflect.New(t).Elem(), d.at}
	d.value(n, f.value, path)
	return f
}

// config builds the configuration from the layers, and records the position of each value.
func (l *loader) config() *Config {
	c := new(Config)
	for _, s := range settings() {
		f, ok := l.merged.Get(s.path).(found)
		if !ok {
			continue
		}
		reflect.ValueOf(c).Elem().FieldByIndex(s.index).Set(f.value)
		maps.Copy(l.at, f.at)
	}
	if _, set := l.at["tls.acme"]; set && c.TLS.ACME.Directory == "" {
		c.TLS.ACME.Directory = letsEncrypt
	}
	if _, set := l.at["turn.listen"]; c.TLS.Enabled() && (!set || l.at["turn.listen"].where == "") {
		c.TURN.Listen = append(slices.Clip(c.TURN.Listen), TURNListen{Address: Endpoint{Port: 5349}, Transports: []Transport{OverTLS, DTLS}})
	}
	return c
}
