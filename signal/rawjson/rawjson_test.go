package rawjson

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

var seeds = []string{
	`{}`, `[]`, `null`, `{`, ``, ` `, `"a"`, `{"a":1,"b":[{"c":"}]"}],"\u0061":null}`, ` { "type" : "x\"y" , "n" : -1.5e3 } `,
	`[1, "a,]", {"b":[]}, [[]], true ]`, `[1,]`, `{"a\\":1}`, `{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `[,1]`, `1.e1`,
	`-`, `01`, `1e+`, `tru`, `"\u12"`, `"\x"`,
	`{}{}`, `[{}`, `[` + strings.Repeat(`1,`, 40) + `2]`, "\xff", strings.Repeat("[", 50) + strings.Repeat("]", 50),
}

// FuzzSplit compares Members and Elements with encoding/json.
func FuzzSplit(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got := make(map[string][]byte)
		ok := Members(text, func(name, value []byte) { got[string(name)] = value })
		var want map[string]json.RawMessage
		if isObject := json.Unmarshal(text, &want) == nil && want != nil; ok != isObject {
			t.Fatalf("%q: Members reports %v, want %v", text, ok, isObject)
		}
		for name, value := range want {
			if bytes.ContainsRune([]byte(name), '\ufffd') {
				continue // encoding/json has replaced invalid UTF-8 in the name
			}
			if !bytes.Equal(got[name], value) {
				t.Fatalf("%q: member %q = %q, want %q", text, name, got[name], value)
			}
		}
		elements, ok := Elements(text)
		var list []json.RawMessage
		if isArray := json.Unmarshal(text, &list) == nil && list != nil; ok != isArray || len(elements) != len(list) {
			t.Fatalf("%q: Elements returns %d and %v, want %d and %v", text, len(elements), ok, len(list), isArray)
		}
		for i := range list {
			if !bytes.Equal(elements[i], list[i]) {
				t.Fatalf("%q: element %d = %q, want %q", text, i, elements[i], list[i])
			}
		}
	})
}

func TestDepthIsLimited(t *testing.T) {
	for depth, want := range map[int]bool{1: true, 64: true, 65: true, maxDepth: true, maxDepth + 1: false} {
		text := []byte(strings.Repeat("[", depth) + strings.Repeat("]", depth))
		if _, ok := Elements(text); ok != want || json.Valid(text) != want {
			t.Errorf("%d levels: valid = %v, want %v", depth, ok, want)
		}
	}
}

// Every byte is put at several positions of a string, because skipPlain reads words of eight bytes.
func TestEveryByteInAString(t *testing.T) {
	for at := range 20 {
		for b := range 256 {
			text := []byte(`{"a":"` + strings.Repeat("x", 20) + `"}`)
			text[6+at] = byte(b)
			if ok := Members(text, func(_, _ []byte) {}); ok != json.Valid(text) {
				t.Errorf("%q: valid = %v, want %v", text, ok, !ok)
			}
		}
	}
}

func TestMembersDoesNotAllocate(t *testing.T) {
	text := offer(4096)
	if n := testing.AllocsPerRun(100, func() { Members(text, func(_, _ []byte) {}) }); n > 0 {
		t.Errorf("Members allocates %v times, want 0", n)
	}
}

// offer returns a message with an SDP of about size bytes.
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
			b.Fatal("the message is not an object")
		}
	}
}
