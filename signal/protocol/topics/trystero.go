package topics

import (
	"encoding/json"

	"icebox/signal"
	"icebox/signal/rawjson"
)

// Trystero returns the dialect of Trystero's WebSocket relay strategy (@trystero-p2p/ws-relay). Its clients name icebox's
// URL in their options: `joinRoom({appId, relayConfig: {urls: ['wss://HOST/trystero']}}, room)`.
//
// Messages are JSON objects in text frames. A client derives the names of its topics by hashing application, room and peer.
//
//	client  {"type":"subscribe","topic":T}
//	        {"type":"unsubscribe","topic":T}
//	        {"type":"publish","topic":T,"payload":P}
//	server  {"topic":T,"payload":P}                           a publication; sent to all subscribers of T
//	        {"error":{"code":C,"message":M,"topic":T}}        a refusal; clients ignore it
//
// P is any JSON value and is forwarded byte for byte. Malformed messages are counted and dropped. Trystero's own relay
// closes the connection of a client that subscribes to too many topics. Here the connection remains open, because a client
// would reconnect and subscribe to the same topics again.
func Trystero() Dialect {
	return Dialect{Protocol: "trystero", HandleText: readTrystero, EncodeRefusal: refuseTrystero}
}

// trysteroMessage holds the members of a client's message that the server reads, as raw JSON. The slices alias the message's
// text.
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
		_ = c.Subscribe(name) // the client has been told of a refusal
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

// trysteroPublication returns the frame for the subscribers.
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
	b, _ := json.Marshal(trysteroRefusal{trysteroError{e.Code, e.Message, name}}) // cannot fail for strings
	return b
}
