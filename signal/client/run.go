package client

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"icebox/signal/protocol/native/wire"
)

// run reads one connection after the other until the session is over.
func (c *Client) run(to conn) {
	defer close(c.ended)
	defer close(c.events)
	defer c.drop(nil)
	stopPings := make(chan struct{})
	pings := make(chan struct{})
	go func() {
		defer close(pings)
		c.ping(stopPings)
	}()
	defer func() {
		close(stopPings)
		<-pings
	}()
	for to != nil {
		c.read(to)
		c.drop(to)
		to = c.reconnect()
	}
}

// read takes messages until the connection is lost or the session is over.
func (c *Client) read(from conn) {
	for c.ctx.Err() == nil {
		text, err := from.Read(time.Now().Add(c.opts.PingEvery + c.opts.PingEvery/2))
		if err != nil {
			return
		}
		var m wire.Message
		if err := json.Unmarshal(text, &m); err != nil {
			c.cancel(err)
			return
		}
		if m.Seq > 0 && m.Type != wire.Resumed && !c.isNextInOrder(&m) {
			continue
		}
		c.handleMessage(&m)
	}
}

// isNextInOrder reports whether a numbered message is the next one.
func (c *Client) isNextInOrder(m *wire.Message) bool {
	if m.Seq <= c.last {
		return false
	}
	if m.Seq != c.last+1 {
		c.cancel(errGap)
		return false
	}
	c.last = m.Seq
	c.unacked++
	c.mu.Lock()
	defer c.mu.Unlock()
	c.had = c.last
	if c.unacked >= ackEvery && c.conn != nil {
		c.unacked = 0
		c.write(c.conn, wire.Request{Type: wire.Ack, Ack: c.had}.Encode())
	}
	return true
}

// handleMessage does what a message asks for, or hands it on.
func (c *Client) handleMessage(m *wire.Message) {
	switch m.Type {
	case wire.Ack, wire.Pong, wire.Resumed:
		c.acked(m.Ack)
		return
	case wire.Bye:
		if m.Reason != "restarting" { // whoever is back before the old process has gone may go on
			c.cancel(&Bye{m.Reason, m.Reconnect != nil && *m.Reconnect})
		}
		return
	}
	if m.Ref != nil {
		c.mu.Lock()
		answered, ok := c.waiting[string(m.Ref)]
		delete(c.waiting, string(m.Ref))
		c.mu.Unlock()
		if ok {
			answered <- *m // has room for it
			return
		}
	}
	select {
	case c.events <- *m:
	case <-c.ctx.Done():
	}
}

// acked forgets what the server has.
func (c *Client) acked(n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = slices.DeleteFunc(c.pending, func(p unackedRequest) bool { return p.seq <= n })
}

// reconnect resumes the session on a new connection, and returns nil when it is over.
func (c *Client) reconnect() conn {
	for n := 0; c.ctx.Err() == nil; n++ {
		t := time.NewTimer(c.opts.Backoff(n))
		select {
		case <-t.C:
		case <-c.ctx.Done():
			t.Stop()
			return nil
		}
		hello := wire.Request{Type: wire.Hello, V: wire.Version, Resume: c.welcome.Resume, Seq: c.last}
		to, first, err := c.opts.open(c.ctx, hello)
		var refused *Error
		switch {
		case errors.As(err, &refused) && refused.Code == "resync":
			c.cancel(err)
			return nil
		case err != nil:
			continue
		}
		if c.resumed(to, first.Ack) {
			return to
		}
	}
	return nil
}

// resumed sends again what the server doesn't have, and everything new on this connection from now on.
func (c *Client) resumed(to conn, has uint64) bool {
	c.acked(has)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		to.Close()
		return false
	}
	c.conn, c.unacked = to, 0
	texts := make([][]byte, 0, len(c.pending))
	for _, p := range c.pending {
		texts = append(texts, p.text)
	}
	c.write(to, texts...)
	return true
}

// ping asks for signs of life.
func (c *Client) ping(stop <-chan struct{}) {
	t := time.NewTicker(c.opts.PingEvery)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
		}
		c.mu.Lock()
		if c.conn != nil {
			c.write(c.conn, wire.Request{Type: wire.Ping, Ack: c.had}.Encode())
		}
		c.mu.Unlock()
	}
}

// Wait returns the next event of a type and drops those before it. It is for programs that do one thing at a
// time.
func (c *Client) Wait(ctx context.Context, kind string) (wire.Message, error) {
	for {
		select {
		case m, ok := <-c.events:
			if !ok {
				return m, c.Err()
			}
			if m.Type == kind {
				return m, nil
			}
		case <-ctx.Done():
			return wire.Message{}, ctx.Err()
		}
	}
}
