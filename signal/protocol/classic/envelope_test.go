package classic

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// captured holds frames that browsers sent to servers of the tutorials, and malformed ones.
var captured = []string{
	`{"type":"login","name":"alice"}`,
	`{"type":"offer","offer":{"type":"offer","sdp":"v=0\r\no=- 4611 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n"},"name":"bob"}`,
	`{"type":"answer","answer":{"type":"answer","sdp":"v=0\r\n"},"name":"alice"}`,
	`{"type":"candidate","candidate":{"candidate":"candidate:842163049 1 udp 1677729535 203.0.113.9 45000 typ srflx raddr 0.0.0.0 rport 0 generation 0 ufrag xyzw network-cost 999","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"xyzw"},"name":"bob"}`,
	`{"type":"leave"}`, `{"type":"leave","name":"bob"}`, `{"type":"leave","name":null}`,
	`null`, `{`, `{}`, `[]`, `[1,{"type":"leave"}]`, `""`, `"type"`, `0`, `-1.5e+300`, `true`, ``, ` `, "\xff", "\"\xff\"",
	` { "type" : "login" , "name" : "a\"b\\c" } `, "\t{\"type\"\r\n:\n\"x\"}\n",
	`{"\u0074ype":"login","n\u0061me":"\ud83e\udd8a"}`, `{"type":"a","type":"b"}`, `{"":1,"a":[{"type":"x"},"}"],"type":"y"}`,
	`{"other":{"type":"leave"},"one":1}`, `{"name":"\ud800"}`, `{"type":"login",}`, `{"offer":"\"}{","name":1}`,
	`{"a\\":1,"type":"t"}`, `{"a":"\\","type":"t"}`, `{"type":1}{"type":2}`,
	strings.Repeat("[", 1000), strings.Repeat(`{"offer":`, 100) + "1" + strings.Repeat("}", 100),
}

func FuzzDecode(f *testing.F) {
	for _, s := range captured {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		before := bytes.Clone(message)
		got, ok := decode(message)
		var object map[string]json.RawMessage
		if isObject := json.Unmarshal(message, &object) == nil && object != nil; ok != isObject {
			t.Fatalf("%q: ok is %v, but it is an object: %v", message, ok, isObject)
		}
		if !ok {
			return
		}
		for member, value := range map[string][]byte{
			"type": got.kind, "name": got.name, "offer": got.offer, "answer": got.answer, "candidate": got.candidate,
		} {
			want, there := object[member]
			if there != (value != nil) || !bytes.Equal(want, value) {
				t.Fatalf("%q: member %q is %q, want %q", message, member, value, want)
			}
			var s string
			isString := json.Unmarshal(want, &s) == nil && len(want) > 0 && want[0] == '"'
			if u, ok := unquote(value); ok != isString || ok && u != s && utf8.Valid(message) {
				t.Fatalf("%q: unquoted %q and %v, want %q and %v", value, u, ok, s, isString)
			}
		}
		if !bytes.Equal(before, message) {
			t.Fatal("the message was changed")
		}
	})
}

func TestDecodeAllocatesNothing(t *testing.T) {
	message := []byte(captured[3])
	if n := testing.AllocsPerRun(100, func() { decode(message) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDecodeCandidate(b *testing.B) {
	message := []byte(captured[3])
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	for b.Loop() {
		decode(message)
	}
}

func BenchmarkDecodeOffer(b *testing.B) {
	message := []byte(`{"type":"offer","offer":{"type":"offer","sdp":"` + strings.Repeat(`a=rtpmap:96 VP8/90000\r\n`, 170) + `"},"name":"bob"}`)
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	for b.Loop() {
		decode(message)
	}
}
