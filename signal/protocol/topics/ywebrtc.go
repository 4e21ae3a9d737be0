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

// YWebRTC returns the dialect of y-webrtc's signalling (10.x), whose clients are given icebox's URL in their option signaling:
// `new WebrtcProvider(room, doc, {signaling: ['wss://HOST/y-webrtc']})`.
//
// On the WebSocket are JSON objects in text frames. Topics, the clients' rooms, are those of this package.
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
func YWebRTC() Dialect {
	return Dialect{
		Protocol: "y-webrtc", HandleText: readYWebRTC, EncodeRefusal: refuseYWebRTC,
		ServePlain: func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, "okay")
		},
	}
}

// ywebrtcMessage is what the server wants of a client's message, as it was written. They alias it.
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

// each calls do for the strings in an array, until it reports false.
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

// ywebrtcPublication is a publication as subscribers get it. The text is an object with a member; of two of one name the last counts.
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
	b, _ := json.Marshal(ywebrtcRefusal{"error", e.Code, e.Message, name}) // strings can't fail
	return b
}
