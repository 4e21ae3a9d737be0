package topics

import (
	"encoding/json"

	"icebox/signal"
	"icebox/signal/rawjson"
)

// Trystero returns the dialect of Trystero's WebSocket relay strategy (@trystero-p2p/ws-relay), whose clients are given icebox's
// URL: `joinRoom({appId, relayConfig: {urls: ['wss://HOST/trystero']}}, room)`.
//
// On the WebSocket are JSON objects in text frames. Topics are those of this package; the clients make them of application, room and
// peer, and hash them.
//
//	client  {"type":"subscribe","topic":T}
//	        {"type":"unsubscribe","topic":T}
//	        {"type":"publish","topic":T,"payload":P}          to all who have subscribed to T, itself too: {"topic":T,"payload":P}
//	server  {"error":{"code":C,"message":M,"topic":T}}        what was refused; clients pass over it
//
// P is any JSON value and forwarded byte for byte. What is malformed is counted and dropped. The original closes the connection of a client that
// subscribes to too much; here it goes on, since a client would come back and ask for the same again.
func Trystero() Dialect {
	return Dialect{Protocol: "trystero", HandleText: readTrystero, EncodeRefusal: refuseTrystero}
}

// trysteroMessage is what the server wants of a client's message, as it was written. They alias it.
type trysteroMessage struct{ kind, topic, payload []byte }

func (m *trysteroMessage) set(name, value []byte) {
	switch string(name) {
	case "type":
		m.kind = value
	case "topic":
		m.topic = value
	case "payload":
		m.payload = value
	}
}

func readTrystero(c *Member, text []byte) (slow func()) {
	var m trysteroMessage
	ok := rawjson.Members(text, m.set)
	kind, known := rawjson.String(m.kind)
	name, named := rawjson.String(m.topic)
	switch {
	case !ok || !known || !named:
		c.CountRefusal(signal.ErrBadMessage)
	case kind == "subscribe":
		_ = c.Subscribe(name) // it has been told
	case kind == "unsubscribe":
		c.Unsubscribe(name)
	case kind == "publish" && m.payload == nil:
		c.CountRefusal(signal.ErrBadMessage)
	case kind == "publish":
		return c.Publish(name, func(int) []byte { return trysteroPublication(m) })
	default:
		c.CountRefusal(signal.ErrUnknownType)
	}
	return nil
}

// trysteroPublication is a publication as subscribers get it.
func trysteroPublication(m trysteroMessage) []byte {
	b := make([]byte, 0, len(m.topic)+len(m.payload)+len(`{"topic":,"payload":}`))
	b = append(append(b, `{"topic":`...), m.topic...)
	b = append(append(b, `,"payload":`...), m.payload...)
	return append(b, '}')
}

type trysteroRefusal struct {
	Error trysteroError `json:"error"`
}

type trysteroError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Topic   string `json:"topic,omitempty"`
}

func refuseTrystero(e *signal.Error, name string) []byte {
	b, _ := json.Marshal(trysteroRefusal{trysteroError{e.Code, e.Message, name}}) // strings can't fail
	return b
}
