package peerjs

import (
	"encoding/json"

	"icebox/signal/rawjson"
)

// Reasons for ending a connection, in the wording of PeerServer.
const (
	msgParameters = "No id, token, or key supplied to websocket server"
	msgToken      = "Invalid token provided"
	msgTaken      = "ID is taken"
)

const (
	openFrame       = `{"type":"OPEN"}`
	invalidKeyFrame = `{"type":"INVALID-KEY"}`
)

// message holds the members of a client's message that the server reads, as raw JSON. A missing member is nil. The slices
// alias the message's text.
type message struct{ kind, dst, payload []byte }

// decode finds the members of a message. It reports whether the message is a JSON object.
func decode(text []byte) (m message, ok bool) {
	ok = rawjson.Members(text, m.set)
	return m, ok
}

// set stores a member if the server reads it. If a name occurs several times, the last one counts, as in JSON.parse.
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

// isForwarded reports whether messages of this type are forwarded to another client.
func isForwarded(kind string) bool { return kind == "OFFER" || kind == "ANSWER" || kind == "CANDIDATE" }

// forwardedFrame returns the frame for the recipient of a message. src is the sender's id as a JSON string; m.dst is
// copied as the sender wrote it.
func forwardedFrame(kind string, src []byte, m message) []byte {
	b := make([]byte, 0, len(src)+len(m.dst)+len(m.payload)+64)
	b = append(append(b, `{"type":"`...), kind...)
	b = append(append(b, `","src":`...), src...)
	b = append(append(b, `,"dst":`...), m.dst...)
	b = append(append(b, `,"payload":`...), m.payload...)
	return append(b, '}')
}

// notice is a message of the server's own.
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
	b, _ := json.Marshal(n) // cannot fail for strings
	return b
}

// expireFrame tells a sender that the client absent did not connect in time.
func expireFrame(absent, sender string) []byte {
	return notice{Type: "EXPIRE", Src: absent, Dst: sender}.frame()
}

func errorFrame(msg string) []byte {
	return notice{Type: "ERROR", Payload: &noticePayload{msg}}.frame()
}

func quote(s string) []byte {
	q, _ := json.Marshal(s) // cannot fail for a string
	return q
}
