package classic

import (
	"encoding/json"

	"icebox/signal/rawjson"
)

// envelope holds the members of a message that the server reads, as raw JSON. A missing member is nil. The slices alias the
// message.
type envelope struct {
	kind, name, offer, answer, candidate []byte
}

// decode finds the members of a message without decoding its payload. It reports whether the message is a JSON object.
func decode(message []byte) (e envelope, ok bool) {
	ok = rawjson.Members(message, e.set)
	return e, ok
}

// set stores a member if the server reads it. If a name occurs several times, the last one counts, as in JSON.parse.
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

// unquote decodes a JSON string. It returns false if the value is not a string.
func unquote(value []byte) (s string, ok bool) { return rawjson.String(value) }

// quote returns s as a JSON string.
func quote(s string) []byte {
	q, _ := json.Marshal(s) // cannot fail for a string
	return q
}
