package config

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const page = "../deploy/configuration.md"

var update = flag.Bool("update", false, "write the tables of "+page+" again")

// row is one key of the tables.
type row struct {
	path, def, about string
	reload           string // of the setting that the key belongs to
}

// rows returns every key that has a value of its own, in the order of the Config types.
func rows(t *testing.T) []row {
	t.Helper()
	defaults, err := Load(Source{})
	if err != nil {
		t.Fatal(err)
	}
	return appendRows(nil, reflect.ValueOf(*defaults), "", "")
}

func appendRows(all []row, v reflect.Value, path, reload string) []row {
	for _, f := range fields(v.Type()) {
		sf, value, at, mark := v.Type().Field(f.index), v.Field(f.index), join(path, f.name), reload
		about := sf.Tag.Get("about")
		if isSetting(sf.Type) && mark == "" {
			mark = sf.Tag.Get("reload")
		}
		if about != "" || !isRecord(sf.Type) {
			all = append(all, row{at, defaultText(value), about, mark})
		}
		switch {
		case isRecord(sf.Type):
			all = appendRows(all, value, at, mark)
		case sf.Type.Kind() == reflect.Slice && isRecord(sf.Type.Elem()):
			element := reflect.New(sf.Type.Elem())
			if d, ok := element.Interface().(defaulter); ok {
				d.setDefaults()
			}
			all = appendRows(all, element.Elem(), at+"[]", mark)
		}
	}
	return all
}

// defaultText returns a default as a cell: "" for the zero value of text, lists and records.
func defaultText(v reflect.Value) string {
	if k := v.Kind(); v.IsZero() && k != reflect.Bool && k != reflect.Int && k != reflect.Int64 && v.Type() != reflect.TypeFor[TLS]() {
		return ""
	}
	n := encode(v)
	if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		return ""
	}
	n.Style |= yaml.FlowStyle
	text, err := yaml.Marshal(n)
	if err != nil {
		return err.Error()
	}
	return "`" + strings.Trim(string(text), "\"\n") + "`"
}

// table matches a generated table with its markers; the first group is the prefix of its keys.
var table = regexp.MustCompile(`(?s)<!-- keys: (\S*) -->\n.*?<!-- end -->`)

// TestConfigurationPage checks that the tables of the page are those that the tags and the defaults give, and that each
// key is in one of them. A marker without a prefix has the keys that no other marker has.
func TestConfigurationPage(t *testing.T) {
	old, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var prefixes []string
	for _, m := range table.FindAllSubmatch(old, -1) {
		prefixes = append(prefixes, string(m[1]))
	}
	tables := make(map[string]string)
	for _, r := range rows(t) {
		best := ""
		for _, p := range prefixes {
			if len(p) > len(best) && (r.path == p || strings.HasPrefix(r.path, p+".") || strings.HasPrefix(r.path, p+"[]")) {
				best = p
			}
		}
		reload := map[string]string{"yes": "reload", "no": "restart"}[r.reload]
		tables[best] += fmt.Sprintf("| `%s` | %s | %s | %s |\n", r.path, r.def, reload, r.about)
	}
	got := table.ReplaceAllFunc(old, func(m []byte) []byte {
		prefix := string(table.FindSubmatch(m)[1])
		return fmt.Appendf(nil, "<!-- keys: %s -->\n| key | default | change by | meaning |\n|---|---|---|---|\n%s<!-- end -->", prefix, tables[prefix])
	})
	if *update {
		if err := os.WriteFile(page, got, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(old, got) {
		t.Errorf("%s differs from the tags and the defaults: run go test ./config -run TestConfigurationPage -update", page)
	}
	if tables[""] != "" && !strings.Contains(string(old), "<!-- keys:  -->") {
		t.Errorf("%s has no table for:\n%s", page, tables[""])
	}
}

// TestEveryKeyIsDescribed checks the tags: a new key has none of them until its author has decided.
func TestEveryKeyIsDescribed(t *testing.T) {
	for _, r := range rows(t) {
		if r.about == "" || !strings.HasSuffix(r.about, ".") || len(r.about) > 100 {
			t.Errorf("%s: want an about tag of at most 100 bytes with a full stop, got %q", r.path, r.about)
		}
		if r.reload != "yes" && r.reload != "no" {
			t.Errorf(`%s: want reload:"yes" or reload:"no" on the field, got %q`, r.path, r.reload)
		}
	}
}

// TestExampleMarksRestarts checks that the example marks with [restart] the settings that a reload can't change, and no
// others.
func TestExampleMarksRestarts(t *testing.T) {
	text := off.ReplaceAll(readExample(t), []byte("$1"))
	text = regexp.MustCompile(`(?m)^tls:\n(  .*\n)+`).ReplaceAllFunc(text, func(m []byte) []byte { // the alternatives to tls: off
		return bytes.Repeat([]byte("\n"), bytes.Count(m, []byte("\n")))
	})
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	found := make(map[string]bool)
	var walk func(n *yaml.Node, path string)
	walk = func(n *yaml.Node, path string) {
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			at := join(path, n.Content[i].Value)
			found[at] = strings.Contains(lines[n.Content[i].Line-1], "# [restart]")
			walk(n.Content[i+1], at)
		}
	}
	walk(doc.Content[0], "")
	for _, s := range settings() {
		marked, ok := found[s.path]
		if !ok {
			t.Errorf("%s is not in the example", s.path)
		} else if marked == s.reload {
			t.Errorf("%s: marked [restart] is %t, a reload can change it is %t", s.path, marked, s.reload)
		}
		delete(found, s.path)
	}
	for path, marked := range found {
		if marked {
			t.Errorf("%s is marked [restart] but is not a setting", path)
		}
	}
}

// TestConfigurationExamples loads the examples of the page.
func TestConfigurationExamples(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$").FindAllSubmatch(text, -1)
	if len(blocks) < 2 {
		t.Fatalf("%d examples were found", len(blocks))
	}
	for _, b := range blocks {
		files := map[string][]byte{"icebox.yaml": b[1], "/etc/icebox/web.key": []byte("a key of sixteen or more\n")}
		if _, err := Load(Source{Path: "icebox.yaml", ReadFile: inMemory(files)}); err != nil {
			t.Errorf("%v:\n%s", err, b[1])
		}
	}
}
