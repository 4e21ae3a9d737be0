package object

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

var seeds = []string{
	`{}`, `[]`, `null`, `{`, ``, ` `, `"a"`, `{"a":1,"b":[{"c":"}]"}],"\u0061":null}`, ` { "type" : "x\"y" , "n" : -1.5e3 } `,
	`[1, "a,]", {"b":[]}, [[]], true ]`, `[1,]`, `{"a\\":1}`, "\xff", strings.Repeat("[", 50) + strings.Repeat("]", 50),
}

func FuzzObject(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got := make(map[string][]byte)
		ok := Members(text, func(name, value []byte) { got[string(name)] = value })
		var want map[string]json.RawMessage
		if isObject := json.Unmarshal(text, &want) == nil && want != nil; ok != isObject {
			t.Fatalf("%q: object %v, want %v", text, ok, isObject)
		}
		for name, value := range want {
			if bytes.ContainsRune([]byte(name), '\ufffd') {
				continue // encoding/json mends what isn't UTF-8
			}
			if !bytes.Equal(got[name], value) {
				t.Fatalf("%q: member %q is %q, want %q", text, name, got[name], value)
			}
		}
		elements, ok := Elements(text)
		var list []json.RawMessage
		if isArray := json.Unmarshal(text, &list) == nil && list != nil; ok != isArray || len(elements) != len(list) {
			t.Fatalf("%q: array %v of %d, want %v of %d", text, ok, len(elements), isArray, len(list))
		}
		for i := range list {
			if !bytes.Equal(elements[i], list[i]) {
				t.Fatalf("%q: element %d is %q, want %q", text, i, elements[i], list[i])
			}
		}
	})
}
