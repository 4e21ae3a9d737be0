package wire

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

var seeds = []string{
	`{"type":"hello","v":1,"name":"alice","token":"a.b.c","future":{"x":[1]}}`,
	`{"type":"hello","v":1,"resume":"abc","seq":17}`,
	`{"type":"send","to":"bob","kind":"offer","data":{"type":"offer","sdp":"v=0\r\n"},"seq":3,"ack":9,"ref":"r1"}`,
	`{"type":"send","call":"x","toId":"y","kind":"candidate","data":null,"ref":-1.5e3}`,
	`{"type":"watch","names":["bob","carol"],"ref":null}`, `{"type":"create","max":2}`,
	`{"type":1}`, `{"ref":[1]}`, `{"ref":true}`, `{"seq":-1}`, `{"seq":1.5}`, `{"seq":18446744073709551615}`, `{"v":"1"}`,
	`{"names":[1]}`, `{"names":"bob"}`, `{"type":"x","type":"y"}`, `null`, `[]`, `{`, ``, `{"max":99999999999}`,
	`{"ref":"` + strings.Repeat("x", 70) + `"}`,
}

func FuzzDecode(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		before := bytes.Clone(text)
		r, ok := Decode(text)
		if !bytes.Equal(before, text) {
			t.Fatal("Decode changed the text")
		}
		if len(r.Ref) > maxRef || r.Ref != nil && !json.Valid(r.Ref) || r.Data != nil && !json.Valid(r.Data) {
			t.Fatalf("%q: Decode accepted the ref %q and the data %q", text, r.Ref, r.Data)
		}
		if !ok {
			return
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if second, ok := Decode(again); !ok || second.Type != r.Type && json.Valid([]byte(r.Type)) {
			t.Fatalf("%q became %q, which decodes to a different request", text, again)
		}
	})
}

func TestDecodeChecksTypes(t *testing.T) {
	for text, want := range map[string]bool{
		`{"type":"ping"}`: true, `{}`: true, `{"ref":null,"seq":null}`: true, `{"type":"x","unknown":[]}`: true,
		`{"type":1}`: false, `{"ref":{}}`: false, `{"ref":true}`: false, `{"seq":-1}`: false, `{"seq":9007199254740993000}`: false,
		`{"names":[1]}`: false, `{"v":"1"}`: false, `[]`: false, `null`: false, ``: false,
	} {
		if _, ok := Decode([]byte(text)); ok != want {
			t.Errorf("%s: Decode returned %v, want %v", text, ok, want)
		}
	}
}

// AppendDelivery and Numbered put JSON together without an encoder; the result is valid and has all members.
func TestDeliveryIsJSON(t *testing.T) {
	data := []byte(`{"sdp":"v=0"}`)
	var m Message
	text := Numbered(AppendDelivery(nil, "call1", "id1", "a\"l", "offer", data), 7)
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if m.Seq != 7 || m.Call != "call1" || m.From != "id1" || m.FromName != `a"l` || m.Kind != "offer" || !bytes.Equal(m.Data, data) {
		t.Errorf("%s became %+v", text, m)
	}
}

func TestValidKind(t *testing.T) {
	for kind, want := range map[string]bool{"offer": true, "x-1": true, "": false, "a b": false, "ä": false, strings.Repeat("a", 33): false} {
		if ValidKind(kind) != want {
			t.Errorf("ValidKind(%q) is %v, want %v", kind, !want, want)
		}
	}
}
