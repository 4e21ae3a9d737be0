package hubload

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// codec writes and recognizes the messages of one protocol.
type codec interface {
	subprotocols() []string
	// signInRequest returns the message with which a client signs in.
	signInRequest(name string) []byte
	// checkSignInReply reports whether text accepts the sign-in. It returns false for a message
	// about something else, and an error for a refusal.
	checkSignInReply(text []byte) (ok bool, err error)
	// afterSignIn returns the message that a client sends once it has signed in, or nil.
	afterSignIn() []byte
	// leaveMessage returns the message that a client sends before it signs out, or nil.
	leaveMessage() []byte
	// appendMessage appends a message to c's peer.
	appendMessage(b []byte, kind string, c *client, payload []byte) []byte
}

func newCodec(p Protocol) codec {
	if p == Native {
		return native{}
	}
	return classic{}
}

var errorType = []byte(`"type":"error"`)

// refusalError returns the error for a message with which the server refuses something.
func refusalError(text []byte) error {
	return fmt.Errorf("the server answered %s", text[:min(len(text), 200)])
}

// classic is the protocol that tutorials teach.
type classic struct{}

func (classic) subprotocols() []string { return nil }

func (classic) signInRequest(name string) []byte {
	return fmt.Appendf(nil, `{"type":"login","name":%q}`, name)
}

func (classic) checkSignInReply(text []byte) (ok bool, err error) {
	switch {
	case bytes.Contains(text, errorType):
		return false, refusalError(text)
	case !bytes.Contains(text, []byte(`"type":"login"`)):
		return false, nil // for example a greeting
	case !bytes.Contains(text, []byte(`"success":true`)):
		return false, refusalError(text)
	}
	return true, nil
}

func (classic) afterSignIn() []byte { return nil }

func (classic) leaveMessage() []byte { return nil }

func (classic) appendMessage(b []byte, kind string, c *client, payload []byte) []byte {
	b = append(append(b, `{"type":"`...), kind...)
	b = append(append(b, `","name":"`...), c.peer.name...)
	b = append(append(b, `","`...), kind...)
	b = append(append(b, `":`...), payload...)
	return append(b, '}')
}

// native is icebox's own protocol.
type native struct{}

func (native) subprotocols() []string { return []string{"icebox.v1"} }

func (native) signInRequest(name string) []byte {
	return fmt.Appendf(nil, `{"type":"hello","v":1,"name":%q}`, name)
}

func (native) checkSignInReply(text []byte) (ok bool, err error) {
	if !bytes.Contains(text, []byte(`"type":"welcome"`)) {
		return false, refusalError(text)
	}
	return true, nil
}

func (native) afterSignIn() []byte { return []byte(`{"type":"ack"}`) }

func (native) leaveMessage() []byte { return []byte(`{"type":"bye"}`) }

func (native) appendMessage(b []byte, kind string, c *client, payload []byte) []byte {
	c.seq++
	b = append(b, `{"type":"send","seq":`...)
	b = strconv.AppendUint(b, c.seq, 10)
	if seq := c.lastReceivedSeq.Load(); seq > 0 {
		b = append(b, `,"ack":`...)
		b = strconv.AppendUint(b, seq, 10)
	}
	b = append(append(b, `,"to":"`...), c.peer.name...)
	b = append(append(b, `","kind":"`...), kind...)
	b = append(append(b, `","data":`...), payload...)
	return append(b, '}')
}

// sequenceNumber returns the sequence number of a message, or 0 if it has none.
func sequenceNumber(text []byte) uint64 {
	rest, ok := bytes.CutPrefix(text, []byte(`{"seq":`))
	if !ok {
		return 0
	}
	var n uint64
	for _, c := range rest {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + uint64(c-'0')
	}
	return n
}

var errNoTimestamp = errors.New("the message has no timestamp")

const (
	timestampKey    = `"sent":"`
	timestampDigits = 16
)

// payload returns a candidate or an offer of size bytes. A 16-digit timestamp belongs at
// text[timestamp:].
func payload(kind Kind, size int) (text []byte, timestamp int) {
	head := `{"candidate":"candidate:842163049 1 udp 1677729535 198.51.100.7 46154 typ srflx ", "sdpMid":"0",` + timestampKey
	line, tail := " raddr 0.0.0.0 rport 0 generation 0 ufrag EEtu", `"}`
	if kind == Offer {
		head = `{"type":"offer",` + timestampKey
		line, tail = `a=rtpmap:111 opus/48000/2\r\n`, `"}`
	}
	if len(head)+timestampDigits+len(tail)+20 > size {
		head = `{` + timestampKey
	}
	text = append(text, head...)
	timestamp = len(text)
	text = append(text, "0000000000000000"...)
	text = append(text, `","sdp":"`...)
	for len(text)+len(line)+len(tail) <= size {
		text = append(text, line...)
	}
	for len(text)+len(tail) < size {
		text = append(text, ' ')
	}
	return append(text, tail...), timestamp
}

const hexDigits = "0123456789abcdef"

// putTimestamp writes t, the time of sending, as 16 hexadecimal digits.
func putTimestamp(b []byte, t uint64) {
	for i := timestampDigits - 1; i >= 0; i-- {
		b[i] = hexDigits[t&15]
		t >>= 4
	}
}

// readTimestamp returns the time at which a message was sent.
func readTimestamp(text []byte) (uint64, error) {
	at := bytes.Index(text, []byte(timestampKey))
	if at < 0 || len(text) < at+len(timestampKey)+timestampDigits {
		return 0, errNoTimestamp
	}
	return strconv.ParseUint(string(text[at+len(timestampKey):at+len(timestampKey)+timestampDigits]), 16, 64)
}
