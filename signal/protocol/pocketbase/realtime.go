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

// subscribeWait is how long a stream may last that wants to hear of nothing. The SDK says at once what it wants.
const subscribeWait = 30 * time.Second

// streamConn is a stream whose client gives no sign of life but by taking what is written.
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

// stream serves an event stream for as long as it lasts.
func (x *request) stream() ([]byte, *problem) {
	leave, err := x.access.Admit()
	switch {
	case errors.Is(err, signal.ErrRestarting):
		return nil, problemStop
	case err != nil:
		return nil, problemStreams
	}
	defer leave()
	conn := &streamConn{Stream: sse.New(x.w)}
	client, err := x.hub.Connect(conn, x.profile, x.visitor)
	if err != nil {
		return nil, problemStop
	}
	conn.client.Store(client)
	defer conn.Finish()
	defer client.Close()
	conn.Start()
	l := x.book.addStream(rand.Text(), client)
	defer x.book.removeStream(l)
	client.Send(connected(l.id))
	t := time.AfterFunc(subscribeWait, func() { x.book.endUnsubscribed(l) })
	defer t.Stop()
	conn.Wait(x.r.Context()) // which is the connection's, here
	return nil, nil
}

// subscribe says what a stream wants to hear of.
func (x *request) subscribe() ([]byte, *problem) {
	p, until, refused := x.authenticate(x.requestToken())
	if refused != nil {
		return nil, refused
	}
	body, refused := x.read(x.hub.Limits().MaxMessage)
	if refused != nil {
		return nil, refused
	}
	stream, topics, ok := decodeSubscriptions(body)
	if !ok {
		return nil, problemBody
	}
	if refused := x.book.subscribe(p, until, stream, topics); refused != nil {
		return nil, refused
	}
	x.w.WriteHeader(http.StatusNoContent)
	return nil, nil
}
