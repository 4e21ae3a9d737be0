package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// change is the key and the line of a Change.
type change struct {
	Key  string
	Line int
}

const byDefault = 0 // the line of a default

func TestChanges(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(secret, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("the first secret of all")
	file := func(text string) string { return text + "credentials: {secrets: [{file: " + secret + "}]}\n" }
	running := load(t, file("turn:\n  users: [{name: alice, password: a}]\n  peers: []\nlog: {level: info}\n"), Source{})
	for name, test := range map[string]struct {
		text string
		want []change
	}{
		"nothing":  {"turn:\n  users:\n    - name: alice\n      password: a\n", nil},
		"password": {"turn:\n  users: [{name: alice, password: b}]\n", []change{{"turn.users", 2}}},
		"several, one of them a default": {
			"turn:\n  realm: other\n  limits: {permissions: 3}\n",
			[]change{{"turn.realm", 2}, {"turn.users", byDefault}, {"turn.limits.permissions", 3}},
		},
		"tls": {"turn:\n  users: [{name: alice, password: a}]\ntls: self-signed\n", []change{{"tls", 3}, {"turn.listen", byDefault}}},
	} {
		t.Run(name, func(t *testing.T) {
			next := load(t, file(test.text), Source{})
			var got []change
			for _, c := range Changes(running, next) {
				if (c.Where == "") != (c.Line == byDefault) {
					t.Errorf("%s is from %q, line %d", c.Key, c.Where, c.Line)
				}
				got = append(got, change{c.Key, c.Line})
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	write("the next secret of all")
	if got := Changes(running, load(t, file("turn:\n  users: [{name: alice, password: a}]\n"), Source{})); len(got) != 1 || got[0].Key != "credentials.secrets" {
		t.Errorf("another secret in the same file: %v", got)
	}
}

// TestReload checks the reload mark that a Change takes from the tag of its field.
func TestReload(t *testing.T) {
	running := load(t, "", Source{})
	for text, want := range map[string]bool{
		"log: {level: warn}\n":                  true,
		"turn: {limits: {permissions: 3}}\n":    true,
		"http: {origins: [{origin: 'null'}]}\n": true,
		"log: {format: json}\n":                 false,
		"turn: {realm: other}\n":                false,
		"http: {listen: [{address: ':80'}]}\n":  false,
	} {
		if got := Changes(running, load(t, text, Source{})); len(got) != 1 || got[0].Reloadable != want {
			t.Errorf("%q: got %+v, want one change with Reloadable %t", text, got, want)
		}
	}
}
