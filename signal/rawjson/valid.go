package rawjson

import (
	"bytes"
	"encoding/binary"
)

// maxDepth is how deep values may be nested, as in encoding/json.
const maxDepth = 10_000

// span is where something is in a text.
type span struct{ from, to int }

// member is one of an object, or an element of an array, which has no name.
type member struct{ name, value span }

// walker goes through a text once: it finds out whether that is JSON (RFC 8259), and where the members of
// the outermost value are. Its methods return where to go on, or -1 where the text is none.
type walker struct {
	text  []byte
	depth int

	first [usual]member // as many of the members as have room here, which costs no allocation
	more  []member      // the others
	count int

	shallow [2]uint64 // a bit for each value that is open: 1 for an object
	deep    []uint64  // those of deeper ones
}

const usual = 16

// member returns the ith.
func (w *walker) member(i int) *member {
	if i < usual {
		return &w.first[i]
	}
	return &w.more[i-usual]
}

func (w *walker) last() *member { return w.member(w.count - 1) }

func (w *walker) add() {
	if w.count >= usual {
		w.more = append(w.more, member{})
	}
	w.count++
}

// bits returns the word of a depth, and the bit in it.
func (w *walker) bits(depth int) (word *uint64, bit uint64) {
	bit = 1 << (depth % 64)
	if i := depth / 64; i < len(w.shallow) {
		return &w.shallow[i], bit
	}
	return &w.deep[depth/64-len(w.shallow)], bit
}

func (w *walker) push(object bool) bool {
	if w.depth >= maxDepth {
		return false
	}
	if w.depth/64 == len(w.shallow)+len(w.deep) {
		w.deep = append(w.deep, 0)
	}
	word, bit := w.bits(w.depth)
	if *word &^= bit; object {
		*word |= bit
	}
	w.depth++
	return true
}

func (w *walker) inObject() bool {
	word, bit := w.bits(w.depth - 1)
	return *word&bit != 0
}

// walk reports whether the text is a JSON value.
func (w *walker) walk() bool {
	for i := w.value(w.space(0)); i >= 0; {
		if w.depth == 0 {
			return w.space(i) == len(w.text)
		}
		if w.depth == 1 {
			w.last().value.to = i
		}
		i = w.after(w.space(i))
	}
	return false
}

// value goes into the value at i as far as its first complete part: a scalar, or an empty object or array.
func (w *walker) value(i int) int {
	for i < len(w.text) {
		if w.depth == 1 {
			w.last().value.from = i
		}
		switch c := w.text[i]; c {
		case '"':
			return w.str(i)
		case '{', '[':
			if !w.push(c == '{') {
				return -1
			}
			i = w.space(i + 1)
			if i < len(w.text) && w.text[i] == c+2 {
				w.depth--
				return i + 1
			}
			if i = w.next(i); i < 0 {
				return -1
			}
		case 't':
			return w.literal(i, "true")
		case 'f':
			return w.literal(i, "false")
		case 'n':
			return w.literal(i, "null")
		default:
			return w.number(i)
		}
	}
	return -1
}

// next goes to the value of the next member or element.
func (w *walker) next(i int) int {
	if w.depth == 1 {
		w.add()
	}
	if !w.inObject() {
		return i
	}
	if i >= len(w.text) || w.text[i] != '"' {
		return -1
	}
	end := w.str(i)
	if end < 0 {
		return -1
	}
	if w.depth == 1 {
		w.last().name = span{i, end}
	}
	if i = w.space(end); i >= len(w.text) || w.text[i] != ':' {
		return -1
	}
	return w.space(i + 1)
}

// after goes on behind a value that is not the outermost.
func (w *walker) after(i int) int {
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
		if i = w.next(w.space(i + 1)); i < 0 {
			return -1
		}
		return w.value(i)
	}
	return -1
}

func (w *walker) space(i int) int {
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

func (w *walker) literal(i int, word string) int {
	if bytes.HasPrefix(w.text[i:], []byte(word)) {
		return i + len(word)
	}
	return -1
}

func (w *walker) digits(i int) int {
	from := i
	for i < len(w.text) && w.text[i] >= '0' && w.text[i] <= '9' {
		i++
	}
	if i == from {
		return -1
	}
	return i
}

func (w *walker) number(i int) int {
	if w.text[i] == '-' {
		i++
	}
	if i < len(w.text) && w.text[i] == '0' {
		i++
	} else if i = w.digits(i); i < 0 {
		return -1
	}
	if i < len(w.text) && w.text[i] == '.' {
		if i = w.digits(i + 1); i < 0 {
			return -1
		}
	}
	if i < len(w.text) && (w.text[i] == 'e' || w.text[i] == 'E') {
		i++
		if i < len(w.text) && (w.text[i] == '+' || w.text[i] == '-') {
			i++
		}
		return w.digits(i)
	}
	return i
}

// str goes behind the string at i.
func (w *walker) str(i int) int {
	for i++; ; i++ {
		i = plainEnd(w.text, i)
		if i >= len(w.text) || w.text[i] < ' ' {
			return -1
		}
		if w.text[i] == '"' {
			return i + 1
		}
		if i++; i >= len(w.text) { // behind a backslash
			return -1
		}
		switch w.text[i] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		case 'u':
			if len(w.text) < i+5 || !hex(w.text[i+1:i+5]) {
				return -1
			}
			i += 4
		default:
			return -1
		}
	}
}

func hex(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// plainEnd returns where, from i on, the first byte is that means something in a string: a quote, a backslash or a
// control character. It looks at eight bytes at a time.
func plainEnd(b []byte, i int) int {
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
