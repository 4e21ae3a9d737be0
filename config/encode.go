package config

import (
	"bytes"
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// printer is a record that is printed as another value.
type printer interface{ printed() any }

// Effective returns c as a YAML file with every key. Every secret is hidden, so
// Load refuses the file until the secrets are put back.
func (c *Config) Effective() string {
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(encode(reflect.ValueOf(*c))); err != nil {
		return fmt.Sprintf("# cannot be printed: %v\n", err)
	}
	return out.String()
}

// encode is the inverse of decoder.value.
func encode(v reflect.Value) *yaml.Node {
	if p, ok := v.Interface().(printer); ok {
		v = reflect.ValueOf(p.printed())
	}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, _ := m.MarshalText() // the methods of this package and of netip cannot fail
		return text2node(string(text))
	}
	switch t := v.Type(); {
	case t == reflect.TypeFor[TLS]() && v.FieldByName("SelfSigned").Bool():
		return text2node("self-signed")
	case t == reflect.TypeFor[TLS]() && !v.Interface().(TLS).Enabled():
		return text2node("off")
	case t == reflect.TypeFor[time.Duration]():
		return text2node(duration(time.Duration(v.Int())))
	case isRecord(t):
		return encodeRecord(v)
	case t.Kind() == reflect.Slice:
		return encodeList(v)
	case t.Kind() == reflect.String:
		return text2node(v.String())
	default:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(v.Interface())}
	}
}

func encodeRecord(v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range fields(v.Type()) {
		if value := v.Field(f.index); !f.omitEmpty || !value.IsZero() {
			n.Content = append(n.Content, text2node(f.name), encode(value))
		}
	}
	return n
}

// encodeList writes each record on a line of its own.
func encodeList(v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	if !isRecord(v.Type().Elem()) {
		n.Style = yaml.FlowStyle
	}
	for i := range v.Len() {
		item := encode(v.Index(i))
		item.Style |= yaml.FlowStyle
		n.Content = append(n.Content, item)
	}
	return n
}

// text2node quotes text that YAML would otherwise read as something other than a
// string.
func text2node(text string) *yaml.Node {
	n := new(yaml.Node)
	n.SetString(text)
	var plain any
	if err := yaml.Unmarshal([]byte(text), &plain); err != nil || plain != text {
		n.Style |= yaml.DoubleQuotedStyle
	}
	return n
}

// duration formats d without the zero units that time.Duration prints.
func duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// printed omits a secret that came from a file.
func (u User) printed() any {
	if u.File != "" {
		u.Password = Secret{}
	}
	return u
}

// printed omits a secret that came from a file.
func (s SharedSecret) printed() any {
	if s.File != "" {
		s.Secret = Secret{}
	}
	return s
}

// printed omits a secret that came from a file.
func (k JWTKey) printed() any {
	if k.File != "" {
		k.Secret = Secret{}
	}
	return k
}

// printed omits a secret that came from a file.
func (u PocketBaseUser) printed() any {
	if u.File != "" {
		u.Password = Secret{}
	}
	return u
}

// printed omits a secret that came from a file.
func (k APIKey) printed() any {
	if k.File != "" {
		k.Key = Secret{}
	}
	return k
}
