// Package rawjson splits a JSON object or array into its members without decoding them, so that payloads are forwarded
// without being parsed or copied. It checks the whole text against RFC 8259, except that strings may hold invalid UTF-8.
//
// encoding/json is not suitable, because it ignores the case of member names, scans a payload twice, and takes ten times as
// long to validate a text.
package rawjson

import (
	"bytes"
	"encoding/json"
)

// Members calls f for every member of the JSON object in text, in order, duplicates included. The name has neither quotes
// nor escapes; the value is as written. The value is a slice of text, and so is the name unless it had escapes. Members
// reports whether text is a JSON object. If it is not, Members does not call f. Values may be nested up to 10,000 levels
// deep.
func Members(text []byte, f func(name, value []byte)) (ok bool) {
	w := walker{text: text}
	if !w.walk() || text[w.skipSpace(0)] != '{' {
		return false
	}
	for i := range w.count {
		m := w.member(i)
		f(unquote(text[m.name.from:m.name.to]), text[m.value.from:m.value.to:m.value.to])
	}
	return true
}

// Elements returns the elements of the JSON array in text, as slices of text. It reports whether text is a JSON array, with
// the same limit on depth as [Members].
func Elements(text []byte) (elements [][]byte, ok bool) {
	w := walker{text: text}
	if !w.walk() || text[w.skipSpace(0)] != '[' {
		return nil, false
	}
	for i := range w.count {
		m := w.member(i)
		elements = append(elements, text[m.value.from:m.value.to:m.value.to])
	}
	return elements, true
}

// String decodes a JSON string and reports whether value is one. The value must come from [Members] or [Elements], because
// String does not validate it again.
func String(value []byte) (s string, ok bool) {
	if len(value) < 2 || value[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return string(value[1 : len(value)-1]), true
	}
	return s, json.Unmarshal(value, &s) == nil
}

// Text is [String] without a copy: a string without escapes is returned as a slice of value.
func Text(value []byte) (text []byte, ok bool) {
	if len(value) < 2 || value[0] != '"' {
		return nil, false
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return value[1 : len(value)-1], true
	}
	s, ok := String(value)
	return []byte(s), ok
}

// unquote decodes a member's name. It copies the name only if it has escapes.
func unquote(name []byte) []byte {
	if bytes.IndexByte(name, '\\') < 0 {
		return name[1 : len(name)-1]
	}
	s, _ := String(name)
	return []byte(s)
}
