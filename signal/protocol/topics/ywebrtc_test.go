package topics

import (
	"bytes"
	"encoding/json"
	"maps"
	"testing"

	"icebox/signal/rawjson"
)

// ywebrtcSamples are handwritten messages in the format of the y-webrtc client, and malformed ones.
var ywebrtcSamples = []string{
	`{"type":"subscribe","topics":["a room"]}`,
	`{"type":"unsubscribe","topics":["a room"]}`,
	`{"type":"publish","topic":"a room","data":{"type":"announce","from":"b3f1c9a2-0c1d-4d8e-9b43-5a0f2f6f1a11"}}`,
	`{"type":"publish","topic":"a room","data":{"to":"1","from":"2","type":"signal","token":1764374400000.123,"signal":{"type":"offer","sdp":"v=0\r\n"}}}`,
	`{"type":"publish","topic":"a room","data":{"to":"1","from":"2","type":"signal","token":1764374400000.123,"signal":{"type":"candidate","candidate":{"candidate":"candidate:1 1 udp 2 192.0.2.1 9 typ host","sdpMLineIndex":0,"sdpMid":"0"}}}}`,
	`{"type":"publish","topic":"a room","data":"dQdBRVMtR0NNDGFiY2RlZmdoaWprbA=="}`,
	`{"type":"ping"}`,
	`null`, `[]`, `{"topic":"a","clients":7}  `, ` {"a":{"clients":1},"topic":"}"}`,
}

// The frame of a publication is the publisher's object, apart from the number of clients.
func FuzzYWebRTCPublication(f *testing.F) {
	for _, text := range ywebrtcSamples {
		f.Add([]byte(text), 3)
	}
	f.Fuzz(func(t *testing.T, text []byte, n int) {
		var m ywebrtcMessage
		kept := bytes.Clone(text)
		if ok := rawjson.Members(text, m.set); !ok || m.topic == nil {
			return
		}
		frame := ywebrtcPublication(text, n)
		var before, after map[string]json.RawMessage
		if err := json.Unmarshal(text, &before); err != nil {
			t.Fatalf("%q is accepted as an object: %v", text, err)
		}
		if err := json.Unmarshal(frame, &after); err != nil {
			t.Fatalf("%q became %q: %v", text, frame, err)
		}
		var clients int
		if err := json.Unmarshal(after["clients"], &clients); err != nil || clients != n {
			t.Fatalf("%q has %d clients, want %d: %v", frame, clients, n, err)
		}
		delete(before, "clients")
		delete(after, "clients")
		same := func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }
		if !maps.EqualFunc(before, after, same) || !bytes.Equal(text, kept) {
			t.Fatalf("%q became %q", text, frame)
		}
	})
}

func BenchmarkYWebRTCPublication(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		var m ywebrtcMessage
		rawjson.Members([]byte(ywebrtcSamples[4]), m.set)
		ywebrtcPublication([]byte(ywebrtcSamples[4]), 20)
	}
}
