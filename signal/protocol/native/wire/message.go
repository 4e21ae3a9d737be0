package wire

import (
	"encoding/json"
	"strconv"

	"icebox/signal"
)

// Message is a message from the server. The specification in package native lists the members of each type.
type Message struct {
	Type string          `json:"type"`
	Ref  json.RawMessage `json:"ref,omitempty"`
	Seq  uint64          `json:"seq,omitempty"`
	Ack  uint64          `json:"ack,omitempty"`
	V    int             `json:"v,omitempty"`

	ID     string  `json:"id,omitempty"`
	Name   string  `json:"name,omitempty"`
	Resume string  `json:"resume,omitempty"`
	Online *bool   `json:"online,omitempty"`
	Limits *Limits `json:"limits,omitempty"`

	ICEServers []signal.RTCIceServer `json:"iceServers,omitempty"`
	Expires    int64                 `json:"expires,omitempty"`
	TTL        int64                 `json:"ttl,omitempty"`
	ICEError   *Problem              `json:"iceError,omitempty"`

	From     string          `json:"from,omitempty"`
	FromName string          `json:"fromName,omitempty"`
	Kind     string          `json:"kind,omitempty"`
	Data     json.RawMessage `json:"data,omitempty"`

	Call    string  `json:"call,omitempty"`
	Link    string  `json:"link,omitempty"`
	Max     int     `json:"max,omitempty"`
	Restore string  `json:"restore,omitempty"`
	Until   int64   `json:"until,omitempty"`
	Parties []Party `json:"parties,omitempty"`

	Code      string `json:"code,omitempty"`
	Text      string `json:"message,omitempty"`
	To        string `json:"to,omitempty"`
	ToID      string `json:"toId,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Reconnect *bool  `json:"reconnect,omitempty"`
}

// Problem says why a message has no ICE servers. Code is one of the protocol's error codes.
type Problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Party is a client in a call.
type Party struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// Limits are the server's limits, as the welcome lists them.
type Limits struct {
	Message           int64   `json:"message"` // bytes
	MessagesPerSecond float64 `json:"messagesPerSecond"`
	Burst             int     `json:"burst"`
	Names             int     `json:"names"`   // that a client may watch
	Parties           int     `json:"parties"` // in one call
	Calls             int     `json:"calls"`   // that a client may be in
	Resume            int64   `json:"resume"`  // seconds
	ResumeMessages    int     `json:"resumeMessages"`
	ResumeBytes       int     `json:"resumeBytes"`
}

// Encode returns the message as JSON text. Ref and Data must be valid JSON or nil.
func (m *Message) Encode() []byte {
	b, _ := json.Marshal(m) // fails only if Ref or Data is not valid JSON
	return b
}

// Bool returns a pointer to b, for members such as Reconnect that distinguish false from a missing member.
func Bool(b bool) *bool { return &b }

// AppendDelivery appends the JSON text of a message from one client to another to b, and returns the result. It copies
// data without parsing it, so data must be valid JSON or nil. call, from and kind must need no escapes in JSON. An empty
// call or fromName is left out.
func AppendDelivery(b []byte, call, from, fromName, kind string, data []byte) []byte {
	b = append(b, `{"type":"message"`...)
	if call != "" {
		b = append(append(append(b, `,"call":"`...), call...), '"')
	}
	b = append(append(append(b, `,"from":"`...), from...), '"')
	if fromName != "" {
		name, _ := json.Marshal(fromName) // never fails for a string
		b = append(append(b, `,"fromName":`...), name...)
	}
	b = append(append(append(b, `,"kind":"`...), kind...), '"')
	if data != nil {
		b = append(append(b, `,"data":`...), data...)
	}
	return append(b, '}')
}

// Numbered returns a copy of the text of a message with a sequence number. The text must be a JSON object with at least
// one member, without leading space.
func Numbered(text []byte, seq uint64) []byte {
	b := make([]byte, 0, len(text)+28)
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, seq, 10)
	b = append(b, ',')
	return append(b, text[1:]...)
}
