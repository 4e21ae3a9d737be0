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

// Options configure Dial. Only URL is required.
type Options struct {
	// URL is the scheme (http or https) and the host of the server.
	URL  string
	Name string // to sign in under; none if empty
	// Token is a JWT or an API key, if the server requires one.
	Token string
	// Replace is the Secret of an earlier session of the same client. The server ends that session.
	Replace string
	// Events uses server-sent events and POST instead of a WebSocket.
	Events bool

	Header http.Header     // sent with every HTTP request, such as Origin
	Dialer *gorilla.Dialer // default: gorilla.DefaultDialer
	HTTP   *http.Client    // default: http.DefaultClient
	// Backoff returns how long to wait before the nth attempt to resume; the first is 0. The default is a random time below a
	// limit that is 0.25 s at first, doubles with each attempt, and ends at 5 s.
	Backoff func(n int) time.Duration
	// PingEvery is the interval at which the client pings the server; the default is 10 s. The client closes a connection
	// over which nothing arrives for one and a half intervals.
	PingEvery time.Duration
}

// Error is a refusal by the server.
type Error struct {
	Code    string
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Bye is the error of a session that the server has ended. Its reasons are those of the message "bye" in package native.
type Bye struct {
	Reason    string
	Reconnect bool // whether the client should sign in again
}

func (b *Bye) Error() string { return "the server ended the session: " + b.Reason }

var (
	// ErrClosed is the error of a session that was ended by Close.
	ErrClosed = errors.New("client is closed")
	// ErrBacklog is the error of a request if 256 earlier requests are still unacknowledged, which happens while there is
	// no connection.
	ErrBacklog = errors.New("too many requests are unacknowledged")
	errGap     = errors.New("a message from the server is missing")
)

const (
	maxPending = 256 // unacknowledged requests
	ackEvery   = 16  // messages received
	writeWait  = 10 * time.Second
)

// Client is a session. It is safe for concurrent use.
type Client struct {
	opts    Options
	welcome wire.Message
	events  chan wire.Message
	ctx     context.Context
	cancel  context.CancelCauseFunc
	ended   chan struct{}

	// Accessed by the goroutine in run only.
	lastSeq  uint64 // number of the latest message received
	sinceAck int    // messages received since the latest acknowledgement

	mu       sync.Mutex
	conn     transport // nil while disconnected
	seq      uint64    // number of the latest request
	pending  []unackedRequest
	refs     uint64                       // number of calls of Do
	replies  map[string]chan wire.Message // where Do waits, by Ref
	received uint64                       // copy of lastSeq, for acknowledgements
}

type unackedRequest struct {
	seq  uint64
	text []byte
}

// Dial signs in and returns the new session. The error wraps an *Error if the server refused. ctx applies to the sign-in only.
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
	c.write(conn, wire.Request{Type: wire.Ack}.Encode()) // the server keeps a session for resumption only after this
	go c.run(conn)
	return c, nil
}

func backoff(n int) time.Duration {
	limit := min(250*time.Millisecond<<min(n, 10), 5*time.Second)
	return time.Duration(rand.Int64N(int64(limit)))
}

// Welcome returns the server's reply to the sign-in.
func (c *Client) Welcome() wire.Message { return c.welcome }

// ID returns the client's ID, by which others can reach it.
func (c *Client) ID() string { return c.welcome.ID }

// Secret returns the secret of the session, for Options.Replace of a later one.
func (c *Client) Secret() string { return c.welcome.Resume }

// Events returns the channel of all messages that are not replies to Do, in order. It is closed when the session ends.
func (c *Client) Events() <-chan wire.Message { return c.events }

// Err returns why the session ended. It returns nil until the session has ended.
func (c *Client) Err() error { return context.Cause(c.ctx) }

// Close ends the session, and tells the server if there is a connection. It returns when all goroutines of the client have
// ended.
func (c *Client) Close() {
	c.mu.Lock()
	if c.conn != nil {
		c.write(c.conn, wire.Request{Type: wire.Bye}.Encode())
	}
	c.mu.Unlock()
	c.end(ErrClosed)
	<-c.ended
}

// end ends the session on this side only.
func (c *Client) end(why error) {
	c.cancel(why)
	c.dropTransport(nil)
}

// dropTransport closes t if it is the current connection. If t is nil, it closes the current connection.
func (c *Client) dropTransport(t transport) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil && (t == nil || t == c.conn) {
		c.conn.Close()
		c.conn = nil
	}
}

// Send sends a request: at once if there is a connection, otherwise when the session is resumed. It does not wait for a
// reply. The request must have no Ref, which is reserved for Do. The error is ErrBacklog, or that of Err if the session has
// ended.
func (c *Client) Send(r wire.Request) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.send(r)
}

// send numbers a request and keeps it until the server acknowledges it. The caller holds mu.
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

// write sends texts. If that fails, it closes the connection; numbered requests are sent again over the next one.
func (c *Client) write(to transport, texts ...[]byte) {
	if len(texts) == 0 {
		return
	}
	if err := to.Write(texts, time.Now().Add(writeWait)); err != nil {
		to.Close()
	}
}

// Do sends a request and returns the reply. The error is an *Error if the server refused. If ctx or the session ends first,
// it is unknown whether the server has handled the request.
func (c *Client) Do(ctx context.Context, r wire.Request) (wire.Message, error) {
	reply := make(chan wire.Message, 1)
	c.mu.Lock()
	c.refs++
	ref := strconv.FormatUint(c.refs, 10)
	r.Ref = json.RawMessage(ref)
	c.replies[ref] = reply
	err := c.send(r)
	c.mu.Unlock()
	defer c.forgetReply(ref)
	if err != nil {
		return wire.Message{}, err
	}
	select {
	case m := <-reply:
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

func (c *Client) forgetReply(ref string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.replies, ref)
}
