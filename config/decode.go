package config

import (
	"encoding"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

// defaulter is a record in which some keys have a default.
type defaulter interface{ setDefaults() }

func (l *TURNListen) setDefaults() { l.Transports = []Transport{UDP, TCP} }

// decoder decodes the YAML nodes of one layer strictly.
type decoder struct {
	*report
	where string
	lines bool // the source has lines that the user can look up
}

func (d *decoder) positionOf(n *yaml.Node) position {
	if !d.lines {
		return position{where: d.where}
	}
	return position{d.where, n.Line}
}

// value decodes n into v and records the position of n.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string) {
	d.at[path] = d.positionOf(n)
	if err := plain(n); err != nil {
		d.fail(path, "%w", err)
		return
	}
	unmarshaler, isText := v.Addr().Interface().(encoding.TextUnmarshaler)
	null := n.ShortTag() == "!!null"
	switch t := v.Type(); {
	case isRecord(t) && n.Kind == yaml.MappingNode:
		d.record(n, t, path, func(f field, n *yaml.Node, path string) {
			d.value(n, v.Field(f.index), path)
		})
	case t.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode:
		d.list(n, v, path)
	case null && (isRecord(t) || t.Kind() == reflect.Slice):
		// There are only comments below the key.
	case null:
		d.fail(path, "has no value")
	case isText && n.Kind == yaml.ScalarNode:
		err := unmarshaler.UnmarshalText([]byte(n.Value))
		if t == reflect.TypeFor[netip.Addr]() && (err != nil || n.Value == "") {
			err = fmt.Errorf("want an IP address, got %q", n.Value)
		}
		if err != nil {
			d.fail(path, "%w", err)
		}
	case n.Kind == yaml.ScalarNode && !isRecord(t) && t.Kind() != reflect.Slice:
		if err := scalar(n.Value, v); err != nil {
			d.fail(path, "%w", err)
		}
	default:
		d.fail(path, "want %s, got %s", noun(t), kind(n))
	}
}

// record calls each for every known key of the mapping n. It reports an error for every unknown or repeated key.
func (d *decoder) record(n *yaml.Node, t reflect.Type, path string, each func(field, *yaml.Node, string)) {
	seen := make(map[string]int)
	known := make(map[string]field)
	for _, f := range fields(t) {
		known[f.name] = f
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := join(path, key.Value)
		f, ok := known[key.Value]
		line, again := seen[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode:
			d.failAt(d.positionOf(key), path, "a key must be a name, got %s", kind(key))
		case again:
			d.failAt(d.positionOf(key), at, "set twice, first on line %d", line)
		case !ok:
			d.failAt(d.positionOf(key), at, "unknown key%s", didYouMean(suggestKey(key.Value, t)))
		default:
			each(f, value, at)
		}
		seen[key.Value] = key.Line
	}
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, path string) {
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		element := v.Index(i)
		if r, ok := element.Addr().Interface().(defaulter); ok {
			r.setDefaults()
		}
		at := fmt.Sprintf("%s[%d]", path, i)
		if item.ShortTag() == "!!null" {
			d.failAt(d.positionOf(item), at, "has no value")
			continue
		}
		d.value(item, element, at)
		if t := element.Type(); item.Kind == yaml.ScalarNode && isRecord(t) && isSetting(t) {
			d.at[join(at, fields(t)[0].name)] = d.positionOf(item) // a scalar stands for the record's first key
		}
	}
}

// The text after the & or ! may be the start of a password, so the messages omit
// it.
var (
	errAnchor = errors.New("YAML anchors and aliases are not supported: quote a text that begins with & or *")
	errTag    = errors.New("YAML tags are not supported: quote a text that begins with an exclamation mark")
)

// plain refuses anchors, aliases and tags, because with them the meaning of a text depends on other parts of the
// document.
func plain(n *yaml.Node) error {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return errAnchor
	case n.Style&yaml.TaggedStyle != 0:
		return errTag
	}
	return nil
}

// scalar parses text into v, which has one of the types that noun names.
func scalar(text string, v reflect.Value) error {
	if v.Type() == reflect.TypeFor[time.Duration]() {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return fmt.Errorf("want a duration with its unit such as 90s, 10m or 24h, got %q", text)
		}
		v.SetInt(int64(d))
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("want true or false, got %q", text)
		}
		v.SetBool(text == "true")
	default:
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return fmt.Errorf("want a whole number, 0 or more, got %q", text)
		}
		v.SetInt(int64(n))
	}
	return nil
}

func noun(t reflect.Type) string {
	switch {
	case isRecord(t):
		return "a record of keys and values"
	case t == reflect.TypeFor[time.Duration]():
		return "a duration"
	case t.Kind() == reflect.Slice:
		return "a list"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int:
		return "a whole number"
	}
	return "text"
}

func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a record"
	case yaml.SequenceNode:
		return "a list"
	}
	return "a single value"
}
