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
func (c *Client) run(to transport) {
	defer close(c.ended)
	defer close(c.events)
	defer c.dropTransport(nil)
	stopPings := make(chan struct{})
	pings := make(chan struct{})
	go func() {
		defer close(pings)
		c.pingLoop(stopPings)
	}()
	defer func() {
		close(stopPings)
		<-pings
	}()
	for to != nil {
		c.readMessages(to)
		c.dropTransport(to)
		to = c.reconnect()
	}
}

// readMessages takes messages until the connection is lost or the session is over.
func (c *Client) readMessages(from transport) {
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
	if m.Seq <= c.lastSeq {
		return false
	}
	if m.Seq != c.lastSeq+1 {
		c.cancel(errGap)
		return false
	}
	c.lastSeq = m.Seq
	c.sinceAck++
	c.mu.Lock()
	defer c.mu.Unlock()
	c.received = c.lastSeq
	if c.sinceAck >= ackEvery && c.conn != nil {
		c.sinceAck = 0
		c.write(c.conn, wire.Request{Type: wire.Ack, Ack: c.received}.Encode())
	}
	return true
}

// handleMessage does what a message asks for, or hands it on.
func (c *Client) handleMessage(m *wire.Message) {
	switch m.Type {
	case wire.Ack, wire.Pong, wire.Resumed:
		c.forgetAcked(m.Ack)
		return
	case wire.Bye:
		if m.Reason != "restarting" { // whoever is back before the old process has gone may go on
			c.cancel(&Bye{m.Reason, m.Reconnect != nil && *m.Reconnect})
		}
		return
	}
	if m.Ref != nil {
		c.mu.Lock()
		answered, ok := c.replies[string(m.Ref)]
		delete(c.replies, string(m.Ref))
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

// forgetAcked forgets what the server has.
func (c *Client) forgetAcked(n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = slices.DeleteFunc(c.pending, func(p unackedRequest) bool { return p.seq <= n })
}

// reconnect resumes the session on a new connection, and returns nil when it is over.
func (c *Client) reconnect() transport {
	for n := 0; c.ctx.Err() == nil; n++ {
		t := time.NewTimer(c.opts.Backoff(n))
		select {
		case <-t.C:
		case <-c.ctx.Done():
			t.Stop()
			return nil
		}
		hello := wire.Request{Type: wire.Hello, V: wire.Version, Resume: c.welcome.Resume, Seq: c.lastSeq}
		to, first, err := c.opts.connect(c.ctx, hello)
		var refused *Error
		switch {
		case errors.As(err, &refused) && refused.Code == "resync":
			c.cancel(err)
			return nil
		case err != nil:
			continue
		}
		if c.resendPending(to, first.Ack) {
			return to
		}
	}
	return nil
}

// resendPending sends again what the server doesn't have, and everything new on this connection from now on.
func (c *Client) resendPending(to transport, has uint64) bool {
	c.forgetAcked(has)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		to.Close()
		return false
	}
	c.conn, c.sinceAck = to, 0
	texts := make([][]byte, 0, len(c.pending))
	for _, p := range c.pending {
		texts = append(texts, p.text)
	}
	c.write(to, texts...)
	return true
}

// pingLoop asks for signs of life.
func (c *Client) pingLoop(stop <-chan struct{}) {
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
			c.write(c.conn, wire.Request{Type: wire.Ping, Ack: c.received}.Encode())
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
