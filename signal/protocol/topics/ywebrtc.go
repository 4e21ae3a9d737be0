package topics

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"

	"icebox/signal"
	"icebox/signal/rawjson"
)

// YWebRTC returns the dialect of y-webrtc's signalling (10.x). Its clients name icebox's URL in their option signaling:
// `new WebrtcProvider(room, doc, {signaling: ['wss://HOST/y-webrtc']})`.
//
// Messages are JSON objects in text frames. A topic is the name of a room.
//
//	client  {"type":"subscribe","topics":[T, ...]}
//	        {"type":"unsubscribe","topics":[T, ...]}
//	        {"type":"publish","topic":T, ...}
//	        {"type":"ping"}
//	server  {"type":"publish","topic":T, ...,"clients":N}     a publication; sent to all subscribers of T, of whom there are N
//	        {"type":"pong"}                                   the answer to a ping
//	        {"type":"error","code":C,"message":M,"topic":T}   a refusal; clients ignore it
//
// A publication is forwarded byte for byte, encrypted or not, with "clients" added at the end. Malformed messages are
// counted and dropped. A request that does not ask for a WebSocket gets the response "okay", as from y-webrtc's own server.
func YWebRTC() Dialect {
	return Dialect{
		Protocol: "y-webrtc", HandleText: readYWebRTC, EncodeRefusal: refuseYWebRTC,
		ServePlain: func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, "okay")
		},
	}
}

// ywebrtcMessage holds the members of a client's message that the server reads, as raw JSON. The slices alias the message's
// text.
type ywebrtcMessage struct{ kind, topic, topics []byte }

func (m *ywebrtcMessage) set(name, value []byte) {
	switch string(name) {
	case "type":
		m.kind = value
	case "topic":
		m.topic = value
	case "topics":
		m.topics = value
	}
}

func readYWebRTC(c *Member, text []byte) (slow func()) {
	var m ywebrtcMessage
	ok := rawjson.Members(text, m.set)
	kind, known := rawjson.String(m.kind)
	switch {
	case !ok || !known:
		c.CountRefusal(signal.ErrBadMessage)
	case kind == "subscribe":
		each(c, m.topics, func(name string) bool { return c.Subscribe(name) == nil })
	case kind == "unsubscribe":
		each(c, m.topics, func(name string) bool { c.Unsubscribe(name); return true })
	case kind == "publish":
		name, ok := rawjson.String(m.topic)
		if !ok {
			c.CountRefusal(signal.ErrBadMessage)
			return nil
		}
		return c.Publish(name, func(subscribers int) []byte { return ywebrtcPublication(text, subscribers) })
	case kind == "ping":
		c.Send([]byte(`{"type":"pong"}`))
	default:
		c.CountRefusal(signal.ErrUnknownType)
	}
	return nil
}

// each calls do for each string in a JSON array until do returns false. Elements that are not strings are skipped. A value
// that is not an array is counted as a malformed message.
func each(c *Member, array []byte, do func(string) bool) {
	elements, ok := rawjson.Elements(array)
	if !ok {
		c.CountRefusal(signal.ErrBadMessage)
		return
	}
	for _, e := range elements {
		if name, ok := rawjson.String(e); ok && !do(name) {
			return
		}
	}
}

// ywebrtcPublication returns the frame for the subscribers: the publisher's message with the number of subscribers added.
// The text must be a JSON object with at least one member. If the publisher wrote "clients" too, parsers take the added
// one, because it is the last.
func ywebrtcPublication(text []byte, subscribers int) []byte {
	end := bytes.LastIndexByte(text, '}')
	b := make([]byte, 0, len(text)+len(`,"clients":1000000}`))
	b = append(append(b, text[:end]...), `,"clients":`...)
	return append(strconv.AppendInt(b, int64(subscribers), 10), '}')
}

type ywebrtcRefusal struct {
	Type    string `json:"type"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Topic   string `json:"topic,omitempty"`
}

func refuseYWebRTC(e *signal.Error, name string) []byte {
	b, _ := json.Marshal(ywebrtcRefusal{"error", e.Code, e.Message, name}) // cannot fail for strings
	return b
}
