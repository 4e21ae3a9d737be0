package topics

import (
	"bytes"
	"encoding/json"
	"testing"

	"icebox/signal/rawjson"
)

// trysteroSamples are handwritten messages in the format of the Trystero client, and malformed ones.
var trysteroSamples = []string{
	`{"type":"subscribe","topic":"4fr1k2a3t6h9s0q7"}`,
	`{"type":"unsubscribe","topic":"4fr1k2a3t6h9s0q7"}`,
	`{"type":"publish","topic":"4fr1k2a3t6h9s0q7","payload":"{\"peerId\":\"Sx3vTnpQqXo1XkqVZb8n\"}"}`,
	`{"type":"publish","topic":"1k0ds9f8a7s6d5f4","payload":"{\"peerId\":\"Sx3vTnpQqXo1XkqVZb8n\",\"offer\":\"c2RwIGlzIGVuY3J5cHRlZA==\"}"}`,
	`{"type":"publish","topic":"1k0ds9f8a7s6d5f4","payload":{"peerId":"a","answer":"x"}}`,
	`[]`, `{}`, `{"topic":"a","payload":1,"payload":2}`,
}

// The frame of a publication is valid JSON with the same topic and payload.
func FuzzTrysteroPublication(f *testing.F) {
	for _, text := range trysteroSamples {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var m trysteroMessage
		kept := bytes.Clone(text)
		if ok := rawjson.Members(text, m.set); !ok || m.topic == nil || m.payload == nil {
			return
		}
		var got struct{ Topic, Payload json.RawMessage }
		frame := trysteroPublication(m)
		if err := json.Unmarshal(frame, &got); err != nil {
			t.Fatalf("%q became %q: %v", text, frame, err)
		}
		if !bytes.Equal(got.Topic, m.topic) || !bytes.Equal(got.Payload, m.payload) || !bytes.Equal(text, kept) {
			t.Fatalf("%q became %q", text, frame)
		}
	})
}

func BenchmarkTrysteroPublication(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		var m trysteroMessage
		rawjson.Members([]byte(trysteroSamples[3]), m.set)
		trysteroPublication(m)
	}
}
