package rawjson

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

var seeds = []string{
	`{}`, `[]`, `null`, `{`, ``, ` `, `"a"`, `{"a":1,"b":[{"c":"}]"}],"\u0061":null}`, ` { "type" : "x\"y" , "n" : -1.5e3 } `,
	`[1, "a,]", {"b":[]}, [[]], true ]`, `[1,]`, `{"a\\":1}`, `{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `[,1]`, `1.e1`, `-`, `01`, `1e+`, `tru`, `"\u12"`, `"\x"`, `{}{}`, `[{}`, `[` + strings.Repeat(`1,`, 40) + `2]`, "\xff", strings.Repeat("[", 50) + strings.Repeat("]", 50),
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

func TestDepth(t *testing.T) {
	for depth, want := range map[int]bool{1: true, 64: true, 65: true, maxDepth: true, maxDepth + 1: false} {
		text := []byte(strings.Repeat("[", depth) + strings.Repeat("]", depth))
		if _, ok := Elements(text); ok != want || json.Valid(text) != want {
			t.Errorf("%d deep: %v, want %v", depth, ok, want)
		}
	}
}

func TestStringsOfEveryByte(t *testing.T) {
	for at := range 20 {
		for b := range 256 {
			text := []byte(`{"a":"` + strings.Repeat("x", 20) + `"}`)
			text[6+at] = byte(b)
			if ok := Members(text, func(_, _ []byte) {}); ok != json.Valid(text) {
				t.Errorf("%q: %v", text, ok)
			}
		}
	}
}

func TestMembersAllocateNothing(t *testing.T) {
	text := offer(4096)
	if n := testing.AllocsPerRun(100, func() { Members(text, func(_, _ []byte) {}) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// offer is a message as large as many are.
func offer(size int) []byte {
	line := `a=rtpmap:111 opus/48000/2\r\n`
	return []byte(`{"type":"offer","name":"bob","offer":{"type":"offer","sdp":"` + strings.Repeat(line, size/len(line)) + `"}}`)
}

func BenchmarkMembers(b *testing.B) {
	text := offer(4096)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if !Members(text, func(_, _ []byte) {}) {
			b.Fatal("no object")
		}
	}
}
