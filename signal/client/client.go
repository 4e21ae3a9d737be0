package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	gorilla "github.com/gorilla/websocket"

	"icebox/signal/protocol/native/wire"
)

// Options say how to sign in.
type Options struct {
	// URL of the server: scheme and host, http or https.
	URL  string
	Name string // none if empty
	// Token is a JWT or an API key, where the server wants one.
	Token string
	// Replace is the Secret of an earlier session of the same client, which ends then.
	Replace string
	// Events uses server-sent events and POST instead of a WebSocket.
	Events bool

	Header http.Header     // sent with every HTTP request, such as Origin
	Dialer *gorilla.Dialer // gorilla.DefaultDialer
	HTTP   *http.Client    // http.DefaultClient
	// Backoff says how long to wait before the nth attempt to resume, from 0 on. Default: up to 0.25 s,
	// twice as much each time, at most 5 s.
	Backoff func(n int) time.Duration
	// PingEvery is how often the server is asked for a sign of life: 10 s. Half as much later without one the
	// connection is given up.
	PingEvery time.Duration
}

// Error is a refusal by the server.
type Error struct {
	Code    string
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Bye is why the server ended a session, or sent its client away.
type Bye struct {
	Reason    string
	Reconnect bool
}

func (b *Bye) Error() string { return "the server said goodbye: " + b.Reason }

var (
	// ErrClosed is the end that the user of a Client has chosen.
	ErrClosed = errors.New("client is closed")
	// ErrBacklog refuses a request while too many wait for a connection.
	ErrBacklog = errors.New("too many messages wait for a connection")
	errGap     = errors.New("a message is missing")
)

const (
	maxPending = 256
	ackEvery   = 16
	writeWait  = 10 * time.Second
)

// Client is a session. Its methods may be called from any goroutine.
type Client struct {
	opts    Options
	welcome wire.Message
	events  chan wire.Message
	ctx     context.Context
	cancel  context.CancelCauseFunc
	ended   chan struct{}

	// Of the goroutine that reads.
	lastSeq  uint64 // the number of the latest message
	sinceAck int

	mu       sync.Mutex
	conn     transport // nil while there is none
	seq      uint64
	pending  []unackedRequest // not acknowledged
	refs     uint64
	replies  map[string]chan wire.Message
	received uint64 // what the reader has, for acks
}

type unackedRequest struct {
	seq  uint64
	text []byte
}

// Dial signs in.
func Dial(ctx context.Context, o Options) (*Client, error) {
	o.Dialer = cmp.Or(o.Dialer, gorilla.DefaultDialer)
	o.HTTP = cmp.Or(o.HTTP, http.DefaultClient)
	o.PingEvery = cmp.Or(o.PingEvery, 10*time.Second)
	if o.Backoff == nil {
		o.Backoff = backoff
	}
	c := &Client{
		opts: o, events: make(chan wire.Message, 64), ended: make(chan struct{}), replies: make(map[string]chan wire.Message),
	}
	hello := wire.Request{Type: wire.Hello, V: wire.Version, Name: o.Name, Token: o.Token, Replace: o.Replace}
	conn, first, err := o.connect(ctx, hello)
	if err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	c.welcome, c.conn = first, conn
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.write(conn, wire.Request{Type: wire.Ack}.Encode()) // from now on the session is worth keeping
	go c.run(conn)
	return c, nil
}

func backoff(n int) time.Duration {
	most := min(250*time.Millisecond<<min(n, 10), 5*time.Second)
	return time.Duration(rand.Int64N(int64(most)))
}

// Welcome returns what the server said at the sign-in.
func (c *Client) Welcome() wire.Message { return c.welcome }

// ID returns the client's ID, by which others can reach it.
func (c *Client) ID() string { return c.welcome.ID }

// Secret returns what proves to be this client.
func (c *Client) Secret() string { return c.welcome.Resume }

// Events returns everything that is no answer to Do, in order. It is closed when the session is over.
func (c *Client) Events() <-chan wire.Message { return c.events }

// Err returns why the session is over, once Events is closed.
func (c *Client) Err() error { return context.Cause(c.ctx) }

// Close says goodbye and waits until nothing of the client runs any more.
func (c *Client) Close() {
	c.mu.Lock()
	if c.conn != nil {
		c.write(c.conn, wire.Request{Type: wire.Bye}.Encode())
	}
	c.mu.Unlock()
	c.end(ErrClosed)
	<-c.ended
}

// end ends the session on this side.
func (c *Client) end(why error) {
	c.cancel(why)
	c.dropTransport(nil)
}

// dropTransport gives up a connection, or whichever there is.
func (c *Client) dropTransport(which transport) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil && (which == nil || which == c.conn) {
		c.conn.Close()
		c.conn = nil
	}
}

// Send queues a request. Ref is left to Do.
func (c *Client) Send(r wire.Request) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.send(r)
}

// send numbers a request and keeps it until the server has it. The caller holds mu.
func (c *Client) send(r wire.Request) error {
	if err := context.Cause(c.ctx); err != nil {
		return err
	}
	if len(c.pending) >= maxPending {
		return ErrBacklog
	}
	c.seq++
	r.Seq, r.Ack = c.seq, c.received
	text := r.Encode()
	c.pending = append(c.pending, unackedRequest{c.seq, text})
	if c.conn != nil {
		c.write(c.conn, text)
	}
	return nil
}

// write sends texts, or gives the connection up: whatever is numbered is sent again on the next one.
func (c *Client) write(to transport, texts ...[]byte) {
	if len(texts) == 0 {
		return
	}
	if err := to.Write(texts, time.Now().Add(writeWait)); err != nil {
		to.Close()
	}
}

// Do sends a request and returns its answer. A refusal is an *Error. When ctx ends first the request may
// or may not have been done.
func (c *Client) Do(ctx context.Context, r wire.Request) (wire.Message, error) {
	answered := make(chan wire.Message, 1)
	c.mu.Lock()
	c.refs++
	ref := strconv.FormatUint(c.refs, 10)
	r.Ref = json.RawMessage(ref)
	c.replies[ref] = answered
	err := c.send(r)
	c.mu.Unlock()
	defer c.forget(ref)
	if err != nil {
		return wire.Message{}, err
	}
	select {
	case m := <-answered:
		if m.Type == wire.Fail {
			return m, &Error{m.Code, m.Text}
		}
		return m, nil
	case <-ctx.Done():
		return wire.Message{}, ctx.Err()
	case <-c.ctx.Done():
		return wire.Message{}, context.Cause(c.ctx)
	}
}

func (c *Client) forget(ref string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.replies, ref)
}
