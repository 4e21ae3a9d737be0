// Package rawjson reads JSON objects without looking into what their members hold, so that payloads pass
// through unread and uncopied.
//
// encoding/json won't do for that: it folds the case of member names, it would walk a payload twice, and it takes
// ten times as long to find out that one is well-formed.
package rawjson

import (
	"bytes"
	"encoding/json"
)

// Members calls f for every member of the object that a text is, in order. The name has no quotes and no
// escapes; the value is as it was written. Both are lent from the text, or from a copy of the name. It
// reports whether the text is a JSON object, and calls nothing if it isn't.
func Members(text []byte, f func(name, value []byte)) (ok bool) {
	w := walker{text: text}
	if !w.walk() || text[w.space(0)] != '{' {
		return false
	}
	for i := range w.count {
		m := w.member(i)
		f(plain(text[m.name.from:m.name.to]), text[m.value.from:m.value.to:m.value.to])
	}
	return true
}

// Elements returns the elements of the array that a text is, lent from it.
func Elements(text []byte) (elements [][]byte, ok bool) {
	w := walker{text: text}
	if !w.walk() || text[w.space(0)] != '[' {
		return nil, false
	}
	for i := range w.count {
		m := w.member(i)
		elements = append(elements, text[m.value.from:m.value.to:m.value.to])
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

// Text returns the bytes of the string that a value is, if it is one: lent from the value where it has no escapes.
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

// plain takes quotes and escapes from a member's name.
func plain(name []byte) []byte {
	if bytes.IndexByte(name, '\\') < 0 {
		return name[1 : len(name)-1]
	}
	s, _ := String(name)
	return []byte(s)
}
