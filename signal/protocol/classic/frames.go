package classic

import (
	"encoding/json"

	"icebox/signal"
	"icebox/signal/broker"
)

// The parts of a message to another client that surround its payload.
const (
	offerHead     = `{"type":"offer","offer":`
	offerName     = `,"name":`
	answerHead    = `{"type":"answer","answer":`
	candidateHead = `{"type":"candidate","candidate":`
	leaveFrame    = `{"type":"leave"}`
	tail          = `}`
)

// encode appends the frame in which a client receives a message from another client.
func encode(b []byte, m broker.Message) []byte {
	switch m.Kind {
	case broker.Offer:
		b = append(append(b, offerHead...), m.Payload...)
		return append(append(append(b, offerName...), quote(m.FromName)...), tail...)
	case broker.Answer:
		return appendFrame(b, answerHead, m.Payload)
	case broker.Candidate:
		return appendFrame(b, candidateHead, m.Payload)
	default:
		return append(b, leaveFrame...)
	}
}

func appendFrame(b []byte, head string, payload []byte) []byte {
	return append(append(append(b, head...), payload...), tail...)
}

// loginReply is the reply to a login.
type loginReply struct {
	Type       string                `json:"type"`
	Success    bool                  `json:"success"`
	Code       string                `json:"code,omitempty"`
	Message    string                `json:"message,omitempty"`
	ICEServers []signal.RTCIceServer `json:"iceServers,omitempty"`
	Expires    int64                 `json:"expires,omitempty"`
	TTL        int64                 `json:"ttl,omitempty"`
	Token      string                `json:"token,omitempty"`
	ICEError   *problem              `json:"iceError,omitempty"`
}

// problem says why a login has no ICE servers.
type problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// errorReply tells a client that its message was refused. Name is the peer that the message was for, if any.
type errorReply struct {
	Type    string `json:"type"`
	Code    string `json:"code"`
	Name    string `json:"name,omitempty"`
	Message string `json:"message"`
}

func frame(v any) []byte {
	b, _ := json.Marshal(v) // cannot fail for strings, numbers and booleans
	return b
}
