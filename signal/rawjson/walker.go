package rawjson

import (
	"bytes"
	"encoding/binary"
)

// maxDepth is the number of levels that values may be nested. It is the limit of encoding/json.
const maxDepth = 10_000

// span is the half-open range [from, to) of text.
type span struct{ from, to int }

// member is a member of the outermost object, or an element of the outermost array. An element has no name.
type member struct{ name, value span }

// walker validates a text against RFC 8259 in one pass, and records the members of the outermost object or array.
//
// Methods that take an index into text return the index behind the part that they have read, or -1 if it is not valid.
type walker struct {
	text  []byte
	depth int // objects and arrays that are open

	inline   [inlineMembers]member // the first members, kept here to avoid an allocation
	overflow []member              // the remaining members
	count    int                   // of both

	shallow [2]uint64 // for each of the first 128 open values a bit: 1 for an object, 0 for an array
	deep    []uint64  // the bits of deeper values
}

// inlineMembers is more than the messages of most protocols have.
const inlineMembers = 16

// member returns the member with index i, counted from 0.
func (w *walker) member(i int) *member {
	if i < inlineMembers {
		return &w.inline[i]
	}
	return &w.overflow[i-inlineMembers]
}

func (w *walker) lastMember() *member { return w.member(w.count - 1) }

func (w *walker) addMember() {
	if w.count >= inlineMembers {
		w.overflow = append(w.overflow, member{})
	}
	w.count++
}

// objectBit returns the word that holds the bit of the open value at a depth, and the mask of that bit.
func (w *walker) objectBit(depth int) (word *uint64, bit uint64) {
	bit = 1 << (depth % 64)
	if i := depth / 64; i < len(w.shallow) {
		return &w.shallow[i], bit
	}
	return &w.deep[depth/64-len(w.shallow)], bit
}

// push opens an object or array. It reports false if the text is nested too deeply.
func (w *walker) push(object bool) bool {
	if w.depth >= maxDepth {
		return false
	}
	if w.depth/64 == len(w.shallow)+len(w.deep) {
		w.deep = append(w.deep, 0)
	}
	word, bit := w.objectBit(w.depth)
	if *word &^= bit; object {
		*word |= bit
	}
	w.depth++
	return true
}

// inObject reports whether the innermost open value is an object.
func (w *walker) inObject() bool {
	word, bit := w.objectBit(w.depth - 1)
	return *word&bit != 0
}

// walk reports whether text is one JSON value.
func (w *walker) walk() bool {
	for i := w.enterValue(w.skipSpace(0)); i >= 0; {
		if w.depth == 0 {
			return w.skipSpace(i) == len(w.text)
		}
		if w.depth == 1 {
			w.lastMember().value.to = i
		}
		i = w.afterValue(w.skipSpace(i))
	}
	return false
}

// enterValue reads the value at i up to the end of the first value in it that is complete: a scalar, or an empty object or
// array. For [[1,2],3] it stops behind the 1. walk reads the rest, so nesting costs no recursion.
func (w *walker) enterValue(i int) int {
	for i < len(w.text) {
		if w.depth == 1 {
			w.lastMember().value.from = i
		}
		switch c := w.text[i]; c {
		case '"':
			return w.skipString(i)
		case '{', '[':
			if !w.push(c == '{') {
				return -1
			}
			i = w.skipSpace(i + 1)
			if i < len(w.text) && w.text[i] == c+2 {
				w.depth--
				return i + 1
			}
			if i = w.enterMember(i); i < 0 {
				return -1
			}
		case 't':
			return w.skipLiteral(i, "true")
		case 'f':
			return w.skipLiteral(i, "false")
		case 'n':
			return w.skipLiteral(i, "null")
		default:
			return w.skipNumber(i)
		}
	}
	return -1
}

// enterMember reads a member's name and colon, and returns the start of its value. An element of an array has neither.
func (w *walker) enterMember(i int) int {
	if w.depth == 1 {
		w.addMember()
	}
	if !w.inObject() {
		return i
	}
	if i >= len(w.text) || w.text[i] != '"' {
		return -1
	}
	end := w.skipString(i)
	if end < 0 {
		return -1
	}
	if w.depth == 1 {
		w.lastMember().name = span{i, end}
	}
	if i = w.skipSpace(end); i >= len(w.text) || w.text[i] != ':' {
		return -1
	}
	return w.skipSpace(i + 1)
}

// afterValue reads the closing bracket or the comma at i, which follows a value inside an object or array. After a comma it
// enters the next value.
func (w *walker) afterValue(i int) int {
	if i >= len(w.text) {
		return -1
	}
	closing := byte(']')
	if w.inObject() {
		closing = '}'
	}
	switch w.text[i] {
	case closing:
		w.depth--
		return i + 1
	case ',':
		if i = w.enterMember(w.skipSpace(i + 1)); i < 0 {
			return -1
		}
		return w.enterValue(i)
	}
	return -1
}

func (w *walker) skipSpace(i int) int {
	for i < len(w.text) {
		switch w.text[i] {
		case ' ', '\t', '\r', '\n':
			i++
		default:
			return i
		}
	}
	return i
}

func (w *walker) skipLiteral(i int, word string) int {
	if bytes.HasPrefix(w.text[i:], []byte(word)) {
		return i + len(word)
	}
	return -1
}

func (w *walker) skipDigits(i int) int {
	from := i
	for i < len(w.text) && w.text[i] >= '0' && w.text[i] <= '9' {
		i++
	}
	if i == from {
		return -1
	}
	return i
}

func (w *walker) skipNumber(i int) int {
	if w.text[i] == '-' {
		i++
	}
	if i < len(w.text) && w.text[i] == '0' {
		i++
	} else if i = w.skipDigits(i); i < 0 {
		return -1
	}
	if i < len(w.text) && w.text[i] == '.' {
		if i = w.skipDigits(i + 1); i < 0 {
			return -1
		}
	}
	if i < len(w.text) && (w.text[i] == 'e' || w.text[i] == 'E') {
		i++
		if i < len(w.text) && (w.text[i] == '+' || w.text[i] == '-') {
			i++
		}
		return w.skipDigits(i)
	}
	return i
}

// skipString reads the string whose opening quote is at i.
func (w *walker) skipString(i int) int {
	for i++; ; i++ {
		i = skipPlain(w.text, i)
		if i >= len(w.text) || w.text[i] < ' ' {
			return -1
		}
		if w.text[i] == '"' {
			return i + 1
		}
		if i++; i >= len(w.text) { // the text ends after the backslash
			return -1
		}
		switch w.text[i] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		case 'u':
			if len(w.text) < i+5 || !isHex(w.text[i+1:i+5]) {
				return -1
			}
			i += 4
		default:
			return -1
		}
	}
}

func isHex(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}

// Eight bytes in a word: each is 1, or has only its highest bit set.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// skipPlain returns the index, from i on, of the first byte that is special in a string: a quote, a backslash or a control
// character. It returns len(b) if there is none. It tests eight bytes at a time with a well-known formula: for a byte c of
// x, the highest bit of (c-n)&^c is set if c < n. A borrow can set that bit in later bytes too, but only after a true
// match, so a word without special bytes never stops the first loop. The second loop finds the exact byte.
func skipPlain(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		quote, slash := x^(ones*'"'), x^(ones*'\\')
		found := (x-ones*' ')&^x | (quote-ones)&^quote | (slash-ones)&^slash
		if found&highs != 0 {
			break
		}
	}
	for i < len(b) && b[i] >= ' ' && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}
