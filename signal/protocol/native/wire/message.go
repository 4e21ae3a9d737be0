package wire

import (
	"encoding/json"
	"strconv"

	"icebox/signal"
)

// Message is a message from the server. Which members a type has is in package native.
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

// Problem says why there are no ICE servers.
type Problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Party is a client in a call.
type Party struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// Limits tell a client what it may do.
type Limits struct {
	Message           int64   `json:"message"`
	MessagesPerSecond float64 `json:"messagesPerSecond"`
	Burst             int     `json:"burst"`
	Names             int     `json:"names"`
	Parties           int     `json:"parties"`
	Calls             int     `json:"calls"`
	Resume            int64   `json:"resume"`
	ResumeMessages    int     `json:"resumeMessages"`
	ResumeBytes       int     `json:"resumeBytes"`
}

// Encode returns the message as text.
func (m *Message) Encode() []byte {
	b, _ := json.Marshal(m) // Ref and Data are values that were read as JSON, and nothing else here can fail
	return b
}

// Bool returns what an optional member that is there points to.
func Bool(b bool) *bool { return &b }

// AppendDelivery appends a message from one client to another without going through its data.
func AppendDelivery(b []byte, call, from, fromName, kind string, data []byte) []byte {
	b = append(b, `{"type":"message"`...)
	if call != "" {
		b = append(append(append(b, `,"call":"`...), call...), '"')
	}
	b = append(append(append(b, `,"from":"`...), from...), '"')
	if fromName != "" {
		name, _ := json.Marshal(fromName) // strings can't fail
		b = append(append(b, `,"fromName":`...), name...)
	}
	b = append(append(append(b, `,"kind":"`...), kind...), '"')
	if data != nil {
		b = append(append(b, `,"data":`...), data...)
	}
	return append(b, '}')
}

// Numbered returns a copy of a message's text that has a sequence number.
func Numbered(text []byte, seq uint64) []byte {
	b := make([]byte, 0, len(text)+28)
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, seq, 10)
	b = append(b, ',')
	return append(b, text[1:]...)
}
