package coturn

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// pair is one key of a record with its value.
type pair struct {
	key   string
	value any // string, int, int64, bool or []string
}

type record []pair

// setting is one key of the configuration.
type setting struct {
	path    string
	value   any // as in a pair, or a record or []record
	comment string
}

type document []setting

func (d *document) set(path string, value any, comment string) {
	*d = append(*d, setting{path, value, comment})
}

// order has the keys in the order of the shipped example.
var order = []string{
	"external_ip", "log.level", "tls", "turn.realm", "turn.listen", "turn.relay_ports", "turn.relay_addresses", "turn.users", "turn.peers",
	"turn.limits.allocations_per_user", "turn.limits.allocations", "turn.limits.bandwidth", "turn.limits.bandwidth_per_allocation",
	"credentials.secrets", "http.listen", "admin.address",
}

// document returns the configuration as text. Comments at its end list the lines without a counterpart.
func (t *translation) document() ([]byte, error) {
	root := &yaml.Node{Kind: yaml.MappingNode}
	for _, path := range order {
		for _, s := range t.doc {
			if s.path == path {
				s.insert(root)
			}
		}
	}
	var out bytes.Buffer
	_, _ = fmt.Fprintf(&out, "# Made by icebox import-coturn from %q.\n# deploy/icebox.yaml, or /usr/share/doc/icebox/icebox.yaml, shows every key.\n\n", t.Name)
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(root); err != nil {
		return nil, err
	}
	if len(t.result.Lost) > 0 {
		out.WriteString("\n# Without a counterpart:\n")
	}
	for _, n := range t.result.Lost {
		_, _ = fmt.Fprintf(&out, "#   %s\n", strings.Map(oneLine, n.String()))
	}
	return out.Bytes(), nil
}

// oneLine replaces characters that would end a comment.
func oneLine(r rune) rune {
	if r < ' ' || r == 0x7F || r == 0x85 || r == 0x2028 || r == 0x2029 || r == 0xFEFF {
		return ' '
	}
	return r
}

// insert adds s below root and makes the records of its path.
func (s setting) insert(root *yaml.Node) {
	names := strings.Split(s.path, ".")
	for _, name := range names[:len(names)-1] {
		root = child(root, name)
	}
	key := text(names[len(names)-1])
	if s.comment != "" {
		key.HeadComment = "# " + s.comment
	}
	root.Content = append(root.Content, key, node(s.value))
}

// child returns the record called name in n, and makes it if it does not exist.
func child(n *yaml.Node, name string) *yaml.Node {
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	c := &yaml.Node{Kind: yaml.MappingNode}
	n.Content = append(n.Content, text(name), c)
	return c
}

func node(v any) *yaml.Node {
	switch v := v.(type) {
	case string:
		return text(v)
	case []string:
		n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, item := range v {
			n.Content = append(n.Content, text(item))
		}
		return n
	case record:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for _, p := range v {
			n.Content = append(n.Content, text(p.key), node(p.value))
		}
		return n
	case []record:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for _, r := range v {
			n.Content = append(n.Content, node(r))
		}
		if len(v) == 0 {
			n.Style = yaml.FlowStyle
		}
		return n
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(v)}
}

// text returns a string node. It quotes the string if YAML would otherwise read a value of another type.
func text(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	var plain any
	if err := yaml.Unmarshal([]byte(s), &plain); err != nil || plain != s {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}
