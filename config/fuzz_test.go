package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// FuzzLoad gives Load arbitrary files. Load must not panic, must not read other
// files than those it is given, and must accept the configuration that it prints.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/*.yaml", "testdata/bad/*.yaml", example} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		secret := []byte("sixteen bytes or more")
		files := map[string][]byte{"icebox.yaml": data, "secret": secret}
		c, err := Load(Source{Path: "icebox.yaml", ReadFile: inMemory(files)})
		if err != nil {
			var all Errors
			if c != nil || !errors.As(err, &all) || len(all) == 0 {
				t.Fatalf("got %v, %T", c, err)
			}
			return
		}
		files["icebox.yaml"] = []byte(c.Effective())
		if _, err := Load(Source{Path: "icebox.yaml", ReadFile: inMemory(files)}); err != nil && !refusedSecret(err) {
			t.Fatalf("printed\n%s\nand then: %v", c.Effective(), err)
		}
	})
}

// refusedSecret reports whether every error in err is about a hidden secret.
func refusedSecret(err error) bool {
	var all Errors
	if !errors.As(err, &all) {
		return false
	}
	for _, e := range all {
		if !errors.Is(e, errHidden) {
			return false
		}
	}
	return true
}

// FuzzEnvironment gives one setting arbitrary text as a variable and as a flag.
func FuzzEnvironment(f *testing.F) {
	for i, s := range settings() {
		for _, text := range []string{"[{name: a, password: b}]", "203.0.113.7/10.0.0.5,2001:db8::1", "{certificate: a, key: b}", s.path} {
			f.Add(uint8(i), text)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, text string) {
		s := settings()[int(which)%len(settings())]
		source := Source{Env: []string{s.env() + "=" + text}, Flags: map[string]string{s.path: text}, ReadFile: inMemory(nil)}
		if c, err := Load(source); (c == nil) == (err == nil) {
			t.Fatalf("%s: got %v, %v", s.env(), c, err)
		}
	})
}
