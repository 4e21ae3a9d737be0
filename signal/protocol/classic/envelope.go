package classic

import (
	"encoding/json"

	"icebox/signal/rawjson"
)

// envelope holds the members of a message that concern the server, as they were written. A nil slice is a
// member that isn't there. They alias the message.
type envelope struct {
	kind, name, offer, answer, candidate []byte
}

// decode takes a message apart without looking into its payload. It reports whether it is a JSON object.
func decode(message []byte) (e envelope, ok bool) {
	ok = rawjson.Members(message, e.set)
	return e, ok
}

// set keeps a member that concerns the server. As in browsers, the last of several counts.
func (e *envelope) set(name, value []byte) {
	switch string(name) {
	case "type":
		e.kind = value
	case "name":
		e.name = value
	case "offer":
		e.offer = value
	case "answer":
		e.answer = value
	case "candidate":
		e.candidate = value
	}
}

// unquote returns the string that a JSON value is, if it is one.
func unquote(value []byte) (s string, ok bool) { return rawjson.String(value) }

// quote returns s as a JSON string.
func quote(s string) []byte {
	q, _ := json.Marshal(s) // strings can't fail
	return q
}
