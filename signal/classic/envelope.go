package classic

import (
	"bytes"
	"encoding/json"
)

// envelope holds the members of a message that concern the server, as they were written. A nil slice is a
// member that isn't there. They alias the message.
type envelope struct {
	kind, name, offer, answer, candidate []byte
}

// decode takes a message apart without looking into its payload. It reports whether it is a JSON object.
//
// encoding/json alone won't do: it folds the case of member names, and it would walk a payload twice.
func decode(message []byte) (e envelope, ok bool) {
	if !json.Valid(message) {
		return e, false
	}
	// From here on the message is well-formed, so that scanning needs no error of its own.
	s := scanner{message}
	if s.space(); s.rest[0] != '{' {
		return e, false
	}
	s.rest = s.rest[1:]
	for s.space(); s.rest[0] != '}'; s.space() {
		if s.rest[0] == ',' {
			s.rest = s.rest[1:]
			s.space()
		}
		key := s.value()
		s.space()
		s.rest = s.rest[1:] // the colon
		s.space()
		e.set(key, s.value())
	}
	return e, true
}

// set keeps a member that concerns the server. As in browsers, the last of several counts.
func (e *envelope) set(key, value []byte) {
	if bytes.IndexByte(key, '\\') >= 0 {
		plain, _ := unquote(key)
		key = append(append([]byte{'"'}, plain...), '"')
	}
	switch string(key) {
	case `"type"`:
		e.kind = value
	case `"name"`:
		e.name = value
	case `"offer"`:
		e.offer = value
	case `"answer"`:
		e.answer = value
	case `"candidate"`:
		e.candidate = value
	}
}

// scanner walks well-formed JSON.
type scanner struct{ rest []byte }

func (s *scanner) space() {
	for len(s.rest) > 0 {
		switch s.rest[0] {
		case ' ', '\t', '\r', '\n':
			s.rest = s.rest[1:]
		default:
			return
		}
	}
}

// value cuts off the value that comes next.
func (s *scanner) value() []byte {
	end := 0
	switch s.rest[0] {
	case '"':
		end = stringEnd(s.rest)
	case '{', '[':
		end = nestedEnd(s.rest)
	default:
		for end < len(s.rest) && bytes.IndexByte(delimiters, s.rest[end]) < 0 {
			end++
		}
	}
	v := s.rest[:end:end]
	s.rest = s.rest[end:]
	return v
}

var delimiters = []byte(",}] \t\r\n")

// stringEnd returns how long the string is that b begins with.
func stringEnd(b []byte) int {
	for i := 1; ; i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

// nestedEnd returns how long the object or array is that b begins with.
func nestedEnd(b []byte) int {
	depth := 0
	for i := 0; ; i++ {
		switch b[i] {
		case '"':
			i += stringEnd(b[i:]) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
}

// unquote returns the string that a JSON value is, if it is one.
func unquote(value []byte) (s string, ok bool) {
	if len(value) < 2 || value[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return string(value[1 : len(value)-1]), true
	}
	return s, json.Unmarshal(value, &s) == nil
}

// quote returns s as a JSON string.
func quote(s string) []byte {
	q, _ := json.Marshal(s) // strings can't fail
	return q
}
