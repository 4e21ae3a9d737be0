package peerjs

import (
	"encoding/json"

	"icebox/signal/rawjson"
)

// What ends a connection, in the words of PeerServer.
const (
	msgParameters = "No id, token, or key supplied to websocket server"
	msgToken      = "Invalid token provided"
	msgTaken      = "ID is taken"
)

const (
	openFrame       = `{"type":"OPEN"}`
	invalidKeyFrame = `{"type":"INVALID-KEY"}`
)

// message is what the server wants of a client's message, as it was written. They alias it.
type message struct{ kind, dst, payload []byte }

// decode takes a message apart. It reports whether it is a JSON object.
func decode(text []byte) (m message, ok bool) {
	ok = rawjson.Members(text, m.set)
	return m, ok
}

// set keeps a member that concerns the server. As in browsers, the last of several counts.
func (m *message) set(name, value []byte) {
	switch string(name) {
	case "type":
		m.kind = value
	case "dst":
		m.dst = value
	case "payload":
		m.payload = value
	}
}

// isForwarded reports whether a message of this type is for another client.
func isForwarded(kind string) bool { return kind == "OFFER" || kind == "ANSWER" || kind == "CANDIDATE" }

// forwarded is a message as its recipient gets it. src is quoted; so is dst, which is as the sender wrote it.
func forwarded(kind string, src []byte, m message) []byte {
	b := make([]byte, 0, len(src)+len(m.dst)+len(m.payload)+64)
	b = append(append(b, `{"type":"`...), kind...)
	b = append(append(b, `","src":`...), src...)
	b = append(append(b, `,"dst":`...), m.dst...)
	b = append(append(b, `,"payload":`...), m.payload...)
	return append(b, '}')
}

// notice is a message of the server.
type notice struct {
	Type    string         `json:"type"`
	Src     string         `json:"src,omitempty"`
	Dst     string         `json:"dst,omitempty"`
	Payload *noticePayload `json:"payload,omitempty"`
}

type noticePayload struct {
	Msg string `json:"msg"`
}

func (n notice) frame() []byte {
	b, _ := json.Marshal(n) // strings can't fail
	return b
}

func expired(absent, sender string) []byte {
	return notice{Type: "EXPIRE", Src: absent, Dst: sender}.frame()
}

func failure(msg string) []byte { return notice{Type: "ERROR", Payload: &noticePayload{msg}}.frame() }

func quote(s string) []byte {
	q, _ := json.Marshal(s) // strings can't fail
	return q
}
