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

// silence is how long a stream may last that wants to hear of nothing. The SDK says at once what it wants.
const silence = 30 * time.Second

// connection is a stream whose client gives no sign of life but by taking what is written.
type connection struct {
	*sse.Stream
	client atomic.Pointer[signal.Client]
}

// Write implements signal.Conn.
func (c *connection) Write(events []byte, deadline time.Time) error {
	return c.alive(c.Stream.Write(events, deadline))
}

// Ping implements signal.Conn.
func (c *connection) Ping(deadline time.Time) error { return c.alive(c.Stream.Ping(deadline)) }

func (c *connection) alive(err error) error {
	if client := c.client.Load(); err == nil && client != nil {
		client.Seen()
	}
	return err
}

// stream serves an event stream for as long as it lasts.
func (x *exchange) stream() ([]byte, *problem) {
	leave, err := x.door.Enter()
	switch {
	case errors.Is(err, signal.ErrRestarting):
		return nil, problemStop
	case err != nil:
		return nil, problemStreams
	}
	defer leave()
	conn := &connection{Stream: sse.New(x.w)}
	client, err := x.hub.Connect(conn, x.profile, x.visitor)
	if err != nil {
		return nil, problemStop
	}
	conn.client.Store(client)
	defer conn.Leave()
	defer client.Close()
	conn.Start()
	l := x.book.listen(rand.Text(), client)
	defer x.book.leave(l)
	client.Send(connected(l.id))
	t := time.AfterFunc(silence, func() { x.book.dismiss(l) })
	defer t.Stop()
	conn.Wait(x.r.Context()) // which is the connection's, here
	return nil, nil
}

// subscribe says what a stream wants to hear of.
func (x *exchange) subscribe() ([]byte, *problem) {
	p, until, refused := x.who(x.shown())
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
