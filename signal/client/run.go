package client

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"icebox/signal/protocol/native/wire"
)

// run reads from t, and then from each connection on which the session was resumed, until the session ends.
func (c *Client) run(t transport) {
	defer close(c.ended)
	defer close(c.events)
	defer c.dropTransport(nil)
	stopPings := make(chan struct{})
	pingsStopped := make(chan struct{})
	go func() {
		defer close(pingsStopped)
		c.pingLoop(stopPings)
	}()
	defer func() {
		close(stopPings)
		<-pingsStopped
	}()
	for t != nil {
		c.readMessages(t)
		c.dropTransport(t)
		t = c.reconnect()
	}
}

// readMessages handles messages until the connection is lost or the session ends.
func (c *Client) readMessages(t transport) {
	for c.ctx.Err() == nil {
		text, err := t.Read(time.Now().Add(c.opts.PingEvery + c.opts.PingEvery/2))
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

// isNextInOrder reports whether a numbered message is the next one. It also records and acknowledges that message. It ends the
// session if a message is missing.
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

// handleMessage handles a message of the protocol itself, or passes it to Do or Events.
func (c *Client) handleMessage(m *wire.Message) {
	switch m.Type {
	case wire.Ack, wire.Pong, wire.Resumed:
		c.forgetAcked(m.Ack)
		return
	case wire.Bye:
		if m.Reason != "restarting" { // after restarting, try to resume, which succeeds if the old process is still running
			c.cancel(&Bye{m.Reason, m.Reconnect != nil && *m.Reconnect})
		}
		return
	}
	if m.Ref != nil {
		c.mu.Lock()
		reply, ok := c.replies[string(m.Ref)]
		delete(c.replies, string(m.Ref))
		c.mu.Unlock()
		if ok {
			reply <- *m // never blocks: the channel is buffered, and gets one reply
			return
		}
	}
	select {
	case c.events <- *m:
	case <-c.ctx.Done():
	}
}

// forgetAcked removes the pending requests that the server has acknowledged, which are those numbered up to n.
func (c *Client) forgetAcked(n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = slices.DeleteFunc(c.pending, func(p unackedRequest) bool { return p.seq <= n })
}

// reconnect resumes the session on a new connection. It returns nil if the session has ended.
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

// resendPending makes t the current connection, and sends the requests over it that the server has not received: those
// numbered above acked. It returns false if the session has ended.
func (c *Client) resendPending(t transport, acked uint64) bool {
	c.forgetAcked(acked)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		t.Close()
		return false
	}
	c.conn, c.sinceAck = t, 0
	texts := make([][]byte, 0, len(c.pending))
	for _, p := range c.pending {
		texts = append(texts, p.text)
	}
	c.write(t, texts...)
	return true
}

// pingLoop pings the server every PingEvery until stop is closed.
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

// Wait receives from Events until there is a message of the given type, and returns that message. It drops the others. Use
// it only if the program needs no other events meanwhile.
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
