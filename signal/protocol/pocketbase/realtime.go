package pocketbase

import (
	"crypto/rand"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"icebox/signal"
	"icebox/signal/sse"
)

// subscribeWait is how long a stream may exist before its client subscribes. The SDK subscribes as soon as it has the
// stream's ID.
const subscribeWait = 30 * time.Second

// streamConn is an event stream. Its client never sends anything on it, so a successful write is the only sign that the
// client is alive.
type streamConn struct {
	*sse.Stream
	client atomic.Pointer[signal.Client]
}

// Write implements signal.Conn.
func (c *streamConn) Write(events []byte, deadline time.Time) error {
	return c.noteAlive(c.Stream.Write(events, deadline))
}

// Ping implements signal.Conn.
func (c *streamConn) Ping(deadline time.Time) error { return c.noteAlive(c.Stream.Ping(deadline)) }

func (c *streamConn) noteAlive(err error) error {
	if client := c.client.Load(); err == nil && client != nil {
		client.Seen()
	}
	return err
}

// stream serves an event stream. It blocks until the stream ends.
func (req *request) stream() ([]byte, *problem) {
	release, err := req.access.Admit()
	switch {
	case errors.Is(err, signal.ErrRestarting):
		return nil, problemRestarting
	case err != nil:
		return nil, problemTooManyStreams
	}
	defer release()
	conn := &streamConn{Stream: sse.New(req.w)}
	client, err := req.hub.Connect(conn, req.profile, req.visitor)
	if err != nil {
		return nil, problemRestarting
	}
	conn.client.Store(client)
	defer conn.Finish()
	defer client.Close()
	conn.Start()
	s := req.book.addStream(rand.Text(), client)
	defer req.book.removeStream(s)
	client.Send(connectEvent(s.id))
	t := time.AfterFunc(subscribeWait, func() { req.book.endUnsubscribed(s) })
	defer t.Stop()
	conn.Wait(req.r.Context()) // unlike other requests, a stream ends when its client disconnects
	return nil, nil
}

// subscribe replaces the topics of a stream.
func (req *request) subscribe() ([]byte, *problem) {
	p, until, refused := req.authenticate(req.requestToken())
	if refused != nil {
		return nil, refused
	}
	body, refused := req.read(req.hub.Limits().MaxMessage)
	if refused != nil {
		return nil, refused
	}
	stream, topics, ok := decodeSubscriptions(body)
	if !ok {
		return nil, problemBadRequest
	}
	if refused := req.book.subscribe(p, until, stream, topics); refused != nil {
		return nil, refused
	}
	req.w.WriteHeader(http.StatusNoContent)
	return nil, nil
}
