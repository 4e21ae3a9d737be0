// Package ywebrtc is the server side of y-webrtc's signalling (10.x), whose clients are given icebox's URL in their option signaling:
// `new WebrtcProvider(room, doc, {signaling: ['wss://HOST/y-webrtc']})`.
//
// On the WebSocket are JSON objects in text frames. Topics, the clients' rooms, are those of package topic.
//
//	client  {"type":"subscribe","topics":[T, ...]}
//	        {"type":"unsubscribe","topics":[T, ...]}
//	        {"type":"publish","topic":T, ...}       to all who have subscribed to T, itself too: the same, with "clients":N,
//	                                                which is how many they are
//	        {"type":"ping"}                         {"type":"pong"}
//	server  {"type":"error","code":C,"message":M,"topic":T}   what was refused; clients pass over it
//
// A publication is forwarded byte for byte, whether it is encrypted or not, with the new member at its end. What is malformed is counted
// and dropped. A request that is none for a WebSocket is answered "okay", as by the original.
package ywebrtc

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"

	"icebox/signal"
	"icebox/signal/object"
	"icebox/signal/topic"
)

// Protocol is the name of this protocol in metrics and logs.
const Protocol = "y-webrtc"

// Dialect returns the protocol for topic.New.
func Dialect() topic.Dialect {
	return topic.Dialect{
		Protocol: Protocol, Text: text, Refuse: refuse,
		Plain: func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, "okay")
		},
	}
}

// message is what the server wants of a client's message, as it was written. They alias it.
type message struct{ kind, topic, topics []byte }

func (m *message) set(name, value []byte) {
	switch string(name) {
	case "type":
		m.kind = value
	case "topic":
		m.topic = value
	case "topics":
		m.topics = value
	}
}

func text(c *topic.Member, text []byte) (slow func()) {
	var m message
	ok := object.Members(text, m.set)
	kind, known := object.String(m.kind)
	switch {
	case !ok || !known:
		c.Bad(signal.ErrBadMessage)
	case kind == "subscribe":
		each(c, m.topics, func(name string) bool { return c.Subscribe(name) == nil })
	case kind == "unsubscribe":
		each(c, m.topics, func(name string) bool { c.Unsubscribe(name); return true })
	case kind == "publish":
		name, ok := object.String(m.topic)
		if !ok {
			c.Bad(signal.ErrBadMessage)
			return nil
		}
		return c.Publish(name, func(subscribers int) []byte { return published(text, subscribers) })
	case kind == "ping":
		c.Send([]byte(`{"type":"pong"}`))
	default:
		c.Bad(signal.ErrUnknownType)
	}
	return nil
}

// each calls do for the strings in an array, until it reports false.
func each(c *topic.Member, array []byte, do func(string) bool) {
	elements, ok := object.Elements(array)
	if !ok {
		c.Bad(signal.ErrBadMessage)
		return
	}
	for _, e := range elements {
		if name, ok := object.String(e); ok && !do(name) {
			return
		}
	}
}

// published is a publication as subscribers get it. The text is an object with a member; of two of one name the last counts.
func published(text []byte, subscribers int) []byte {
	end := bytes.LastIndexByte(text, '}')
	b := make([]byte, 0, len(text)+len(`,"clients":1000000}`))
	b = append(append(b, text[:end]...), `,"clients":`...)
	return append(strconv.AppendInt(b, int64(subscribers), 10), '}')
}

type refusal struct {
	Type    string `json:"type"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Topic   string `json:"topic,omitempty"`
}

func refuse(e *signal.Error, name string) []byte {
	b, _ := json.Marshal(refusal{"error", e.Code, e.Message, name}) // strings can't fail
	return b
}
