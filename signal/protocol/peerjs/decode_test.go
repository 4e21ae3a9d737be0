package peerjs

import (
	"bytes"
	"encoding/json"
	"testing"
)

// samples are handwritten messages in the format of the PeerJS client, and malformed ones.
var samples = []string{
	`{"type":"HEARTBEAT"}`,
	`{"type":"OFFER","payload":{"sdp":{"type":"offer","sdp":"v=0\r\no=- 7614219274584779017 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"},"type":"data","connectionId":"dc_3x0o7oqjkcl","label":"dc_3x0o7oqjkcl","reliable":false,"serialization":"binary"},"dst":"bob"}`,
	`{"type":"OFFER","payload":{"sdp":{"type":"offer","sdp":"v=0\r\n"},"type":"media","connectionId":"mc_8ksd0h4tbh6","metadata":{"a":[1,null]}},"dst":"1c8cbb04-5d0c-4b26-a8c4-2a8e3bb3d2d4"}`,
	`{"type":"ANSWER","payload":{"sdp":{"type":"answer","sdp":"v=0\r\n"},"type":"data","connectionId":"dc_3x0o7oqjkcl"},"dst":"alice"}`,
	`{"type":"CANDIDATE","payload":{"candidate":{"candidate":"candidate:2724 1 udp 2113937151 7f0c.local 51111 typ host generation 0 ufrag Wq1x network-cost 999","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"Wq1x"},"type":"data","connectionId":"dc_3x0o7oqjkcl"},"dst":"bob"}`,
	`[]`, `{}`, `{"type":"OPEN"}`, `{"dst":"a","dst":"b","payload":{},"payload":[],"type":"OFFER"}`,
}

// A forwarded message is valid JSON with the sender's own id and an unchanged payload.
func FuzzDecode(f *testing.F) {
	for _, text := range samples {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		kept := bytes.Clone(text)
		m, ok := decode(text)
		if ok != (json.Valid(text) && bytes.TrimLeft(text, " \t\r\n")[0] == '{') {
			t.Fatalf("decode of %q reports %v", text, ok)
		}
		if !ok || m.dst == nil || m.payload == nil {
			return
		}
		var got struct {
			Type, Src    string
			Dst, Payload json.RawMessage
		}
		frame := forwardedFrame("OFFER", quote("alice"), m)
		if err := json.Unmarshal(frame, &got); err != nil {
			t.Fatalf("%q became %q: %v", text, frame, err)
		}
		if got.Type != "OFFER" || got.Src != "alice" || !bytes.Equal(got.Payload, m.payload) || !bytes.Equal(text, kept) {
			t.Fatalf("%q became %q", text, frame)
		}
	})
}

// Only messages from one client to another are forwarded, and none that only a server may send.
func TestForwardedTypes(t *testing.T) {
	for kind, want := range map[string]bool{
		"OFFER": true, "ANSWER": true, "CANDIDATE": true, "HEARTBEAT": false, "OPEN": false, "LEAVE": false, "EXPIRE": false,
		"ERROR": false, "ID-TAKEN": false, "INVALID-KEY": false, "offer": false, "": false,
	} {
		if got := isForwarded(kind); got != want {
			t.Errorf("%q is forwarded: %v, want %v", kind, got, want)
		}
	}
}

func BenchmarkForward(b *testing.B) {
	b.ReportAllocs()
	src := quote("alice")
	for b.Loop() {
		m, _ := decode([]byte(samples[4]))
		forwardedFrame("CANDIDATE", src, m)
	}
}
