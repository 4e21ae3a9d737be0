// Package object reads JSON objects without looking into what their members hold, so that payloads pass
// through unread and uncopied.
//
// encoding/json won't do for that: it folds the case of member names, and it would walk a payload twice.
package object

import (
	"bytes"
	"encoding/json"
)

// Members calls f for every member of the object that a text is, in order. The name has no quotes and no
// escapes; the value is as it was written. Both are lent from the text, or from a copy of the name. It
// reports whether the text is a JSON object, and calls nothing if it isn't.
func Members(text []byte, f func(name, value []byte)) (ok bool) {
	if !json.Valid(text) {
		return false
	}
	// From here on the text is well-formed, so that scanning needs no error of its own.
	s := scanner{text}
	if s.space(); s.rest[0] != '{' {
		return false
	}
	s.rest = s.rest[1:]
	for s.space(); s.rest[0] != '}'; s.space() {
		if s.rest[0] == ',' {
			s.rest = s.rest[1:]
			s.space()
		}
		name := plain(s.value())
		s.space()
		s.rest = s.rest[1:] // the colon
		s.space()
		f(name, s.value())
	}
	return true
}

// Elements returns the elements of the array that a text is, lent from it.
func Elements(text []byte) (elements [][]byte, ok bool) {
	if !json.Valid(text) {
		return nil, false
	}
	s := scanner{text}
	if s.space(); s.rest[0] != '[' {
		return nil, false
	}
	s.rest = s.rest[1:]
	for s.space(); s.rest[0] != ']'; s.space() {
		if s.rest[0] == ',' {
			s.rest = s.rest[1:]
			s.space()
		}
		elements = append(elements, s.value())
	}
	return elements, true
}

// String returns the string that a value is, if it is one.
func String(value []byte) (s string, ok bool) {
	if len(value) < 2 || value[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return string(value[1 : len(value)-1]), true
	}
	return s, json.Unmarshal(value, &s) == nil
}

// plain takes quotes and escapes from a member's name.
func plain(name []byte) []byte {
	if bytes.IndexByte(name, '\\') < 0 {
		return name[1 : len(name)-1]
	}
	s, _ := String(name)
	return []byte(s)
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
