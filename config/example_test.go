package config

import (
	"bytes"
	"net/netip"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.yaml.in/yaml/v3"
)

const example = "../deploy/icebox.yaml"

// sameConfig compares everything except the warnings, including secrets. A nil
// list equals an empty one.
var sameConfig = cmp.Options{
	cmp.Exporter(func(reflect.Type) bool { return true }),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmpopts.EquateEmpty(),
	cmpopts.IgnoreFields(Config{}, "warnings", "positions"),
}

// off matches the start of a setting that is off in the example.
var off = regexp.MustCompile(`(?m)^#(\S|  )`)

func TestExampleIsTheDefaults(t *testing.T) {
	got, err := Load(Source{Path: example})
	if err != nil {
		t.Fatal(err)
	}
	want, err := Load(Source{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, sameConfig); diff != "" {
		t.Errorf("the example differs from the defaults:\n%s", diff)
	}
}

// certificateChoice matches the alternatives for tls, of which one at a time is valid.
var certificateChoice = regexp.MustCompile(`(?m)^#tls:\n(#  .*\n)+`)

func TestExampleHasEveryKey(t *testing.T) {
	whole := bytes.Replace(readExample(t), []byte("\ntls: off\n"), []byte("\n"), 1)
	var mentioned []string
	choices := certificateChoice.FindAll(whole, -1)
	for _, choice := range choices {
		text := certificateChoice.ReplaceAllLiteral(whole, nil)
		text = off.ReplaceAll(append(text, choice...), []byte("$1"))
		mentioned = append(mentioned, loadsAll(t, text)...)
	}
	for _, path := range keyPaths() {
		if !slices.Contains(mentioned, path) {
			t.Errorf("the example does not mention %s", path)
		}
	}
}

// loadsAll loads text, an example with every setting on, and returns the keys in it.
func loadsAll(t *testing.T, text []byte) []string {
	t.Helper()
	secrets := certificates(t, "fullchain", "privkey")
	crt, _, _ := secrets("fullchain.crt")
	key, _, _ := secrets("fullchain.key")
	files := map[string][]byte{
		"all.yaml":                      text,
		"/etc/icebox/tls/fullchain.pem": crt,
		"/etc/icebox/tls/privkey.pem":   key,
		"/etc/icebox/authority.pem":     crt,
		"/etc/icebox/carol.password":    []byte("carol's password\n"),
		"/etc/icebox/bob.password":      []byte("$2b$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234\n"),
		"/etc/icebox/nextcloud.secret":  []byte("nextcloud's own secret\n"),
		"/etc/icebox/app.key":           []byte("the key of the app\n"),
		"/etc/icebox/jwt.pem":           []byte("whoever uses it reads it"),
		"/etc/icebox/jwt.secret":        []byte("a secret that has thirty-two bytes\n"),
	}
	if _, err := Load(Source{Path: "all.yaml", ReadFile: inMemory(files)}); err != nil {
		t.Fatal(err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	return mentions(doc.Content[0], "")
}

func TestExampleHasNoTabs(t *testing.T) {
	if bytes.Contains(readExample(t), []byte("\t")) {
		t.Error("YAML forbids tabs in indentation")
	}
}

func readExample(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// inMemory returns a ReadFile that reads from a map.
func inMemory(files map[string][]byte) func(string) ([]byte, os.FileMode, error) {
	return func(name string) ([]byte, os.FileMode, error) {
		data, ok := files[name]
		if !ok {
			return nil, 0, &os.PathError{Op: "open", Path: name, Err: os.ErrNotExist}
		}
		return data, 0o600, nil
	}
}

// mentions returns the paths of all keys below n, without indexes.
func mentions(n *yaml.Node, path string) []string {
	var all []string
	for i, child := range n.Content {
		switch {
		case n.Kind == yaml.SequenceNode:
			all = append(all, mentions(child, path)...)
		case i%2 == 1:
			at := strings.TrimPrefix(path+"."+n.Content[i-1].Value, ".")
			all = append(append(all, at), mentions(child, at)...)
		}
	}
	return all
}
