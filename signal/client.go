package signal

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"icebox/signal/broker"
	"icebox/signal/rate"
)

// Conn is a connection as the core sees it. Write and Ping are never called at the same time; Abort may be
// called at any time.
type Conn interface {
	// Write sends one message, which it doesn't keep; Ping asks for a sign of life. Both give up at the deadline.
	Write(frame []byte, deadline time.Time) error
	Ping(deadline time.Time) error
	// Close tells the other side why and sees to it that reading ends soon, whatever the other side does.
	// It may take as long as a second.
	Close(Reason)
	// Abort cuts the connection without a word. It doesn't block.
	Abort()
}

// NonblockingConn is a Conn that can write without waiting.
type NonblockingConn interface {
	Conn
	// TryWrite writes a message if that can be done at once. If it reports false the message has to be handed to Write
	// next, before anything else is written: part of it may have gone. TryPing is likewise.
	TryWrite(frame []byte) (done bool, err error)
	TryPing() (done bool, err error)
}

// Resumable is a Conn that outlives its transports.
type Resumable interface {
	Conn
	// Bind tells it whose connection it is, before anything else is called.
	Bind(*Client)
	// DropTransport gives the present transport up, which showed no sign of life in time, and reports whether the
	// connection goes on waiting for another one. It doesn't block.
	DropTransport() bool
}

// Profile is what a protocol wants of the core.
type Profile struct {
	// Protocol is the metric label.
	Protocol string
	// Namespace keeps the protocol's names apart from those of others, which its clients can neither take nor reach: the same name in two
	// spaces is two names. Its clients never see it. At most MaxSpace bytes of UTF-8; "" is the space of icebox's own protocols.
	Namespace string
	// ByID: the protocol knows clients by their IDs too, so it takes notes and messages from who has no name.
	ByID bool
	// Pairs is how many correspondents a client has at once; 0 means 32. If negative there are no pairs: the protocol has notes alone, and
	// nobody is told when a client ends.
	Pairs int
	// Presence makes the frame that tells a client whether a name that it watches is held.
	Presence func(name string, held bool) []byte
	// Encode appends the frame that tells a client of a message from another client. It must not keep the
	// message's payload.
	Encode func([]byte, broker.Message) []byte
	// Expires: the hub ends clients when their token has expired. Protocols that have a way to renew it do so themselves.
	Expires bool
	// OneCall: the protocol's leave doesn't say whose it is, so clients are told only of their latest
	// correspondent's. Another's would end the wrong call.
	OneCall bool
	// Loose lets answers, candidates and leaves out and in that belong to no pair, for clients that don't
	// begin with an offer.
	Loose bool
}

// Visitor is what is known of who connects before it says a word.
type Visitor struct {
	Addr  netip.Addr
	Host  string // by which it reached us, without port
	Key   string // the name of the API key it showed, if any
	Base  string // the origin by which it reached us, such as https://turn.example.org; may be empty
	Grant Grant  // what its token says, where it showed one
}

// AddrKey is what limits count an address by: its /64 where it is IPv6.
func AddrKey(a netip.Addr) netip.Addr {
	if a.Is6() {
		p, _ := a.Prefix(64) // 64 is in range
		return p.Addr()
	}
	return a
}

// MaxName is the longest name of a client, in bytes, and MaxNamespace the longest name of a space.
const (
	MaxName      = 128
	MaxNamespace = 128
)

// tokenLen is the length of a token's raw form: the client's ID and a secret.
const tokenLen = len(broker.ID{}) + 16

type state uint8

const (
	stateOpen   state = iota
	stateEnding       // being told why; takes no more messages
	stateClosed
)

// Client is one connection that speaks some protocol. The methods below its fields say who may call them:
// "the reader" is the one goroutine that reads its connection, or acts on what was read.
type Client struct {
	// Fixed.
	hub         *Hub
	conn        Conn
	nonblocking NonblockingConn // conn, if it is one
	profile     Profile
	visitor     Visitor
	id          broker.ID
	secret      [16]byte
	wheelSlot   uint8
	done        chan struct{} // closed when the client is no longer open

	// Any goroutine.
	lastSeen atomic.Int64 // when anything last came from it, in the hub's time
	pingSent atomic.Int64 // when the oldest unanswered ping was written, or one that was answered

	// The reader's.
	bucket    rate.Bucket
	throttled bool

	flushes  sync.WaitGroup // the goroutine that writes, while there is one
	hangUpMu sync.Mutex     // held while pairs are told to hang up, so that who comes second waits for that

	// Guarded by mu.
	mu     sync.Mutex
	state  state
	reason Reason
	name   string
	pairs  pairs
	queue  queue
	probed chan struct{} // closed by the next sign of life; nil when nobody waits for one

	watched map[string]struct{} // names
}

func newClient(h *Hub, conn Conn, p Profile, v Visitor) *Client {
	c := &Client{hub: h, conn: conn, profile: p, visitor: v, id: broker.NewID(), done: make(chan struct{})}
	c.nonblocking, _ = conn.(NonblockingConn)
	_, _ = rand.Read(c.secret[:]) // documented never to fail
	c.lastSeen.Store(int64(h.now()))
	return c
}

// ID returns the client's identity.
func (c *Client) ID() broker.ID { return c.id }

// Visitor returns what was known of the client when it connected.
func (c *Client) Visitor() Visitor { return c.visitor }

// Done is closed when the client begins to end.
func (c *Client) Done() <-chan struct{} { return c.done }

// Name returns what the client is signed in as, or "".
func (c *Client) Name() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateOpen {
		return ""
	}
	return c.name
}

// Token returns what proves to [Hub.SignedInClient] that its bearer is this client.
func (c *Client) Token() string {
	raw := make([]byte, 0, tokenLen)
	raw = append(append(raw, c.id[:]...), c.secret[:]...)
	return base64.RawURLEncoding.EncodeToString(raw)
}

// SignIn claims a name for the client. It may take as long as [Options.ClaimWait]. A client that has a name
// already swaps it for the new one, and keeps its pairs. Only the reader may call it. The error is an *Error.
func (c *Client) SignIn(name string) error {
	h := c.hub
	if settled, err := c.checkSignIn(name); settled {
		return err
	}
	ctx, cancel := context.WithTimeout(h.ctx, h.opts.ClaimWait)
	defer cancel()
	if err := h.broker.Claim(ctx, c.globalName(name), c.id); err != nil {
		refused := toRefusal(err)
		if refused == ErrUnavailable && !isCanceled(err) {
			h.log.Warn("claim failed", slog.String("client", c.id.String()), slog.Any("error", err))
		}
		c.debug("sign-in refused", slog.String("name", name), slog.String("code", refused.Code))
		return h.metrics.countRefusal(refused)
	}
	c.setName(ctx, name)
	return nil
}

// ValidName reports whether a client may be called so: 1 to 128 bytes of UTF-8 without control characters.
func ValidName(name string) bool {
	if name == "" || len(name) > MaxName || !utf8.ValidString(name) {
		return false
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			return false
		}
	}
	return true
}

func (c *Client) releaseName(ctx context.Context, name string) {
	if err := c.hub.broker.Release(ctx, c.globalName(name), c.id); err != nil {
		c.hub.log.Warn("release failed", slog.String("client", c.id.String()), slog.Any("error", err))
	}
}

// End tells the client why and closes its connection, without waiting. Only the first call has an effect.
// Any goroutine may call it.
func (c *Client) End(why Reason) {
	c.mu.Lock()
	if c.state != stateOpen {
		c.mu.Unlock()
		return
	}
	c.state, c.reason = stateEnding, why
	close(c.done)
	c.notifyProbes()
	abrupt := why == SlowReader || why == WriteFailed || why == PongTimeout || why == Superseded
	if abrupt {
		c.queue.clear()
		c.updateReservation()
	}
	jammed := abrupt && c.queue.flushing
	c.queue.push(item{kind: closeFrame})
	c.startFlush()
	c.mu.Unlock()
	if jammed {
		c.conn.Abort()
	}
}

// Close frees what the client holds and returns when nothing of it runs any more. The reader calls it once,
// when reading has ended.
func (c *Client) Close() { c.close(func() {}, true) }

// close is Close and TryClose.
func (c *Client) close(first func(), mayWait bool) (done bool) {
	h := c.hub
	c.mu.Lock()
	refused := c.state == stateEnding
	if !mayWait && (refused || c.queue.flushing) {
		c.mu.Unlock()
		return false
	}
	defer h.tracked.Done()
	if !refused {
		close(c.done)
		c.notifyProbes()
		c.queue.clear()
		c.updateReservation()
	}
	c.state = stateClosed
	why, name, watched := c.reason, c.name, c.watched
	c.watched = nil
	c.mu.Unlock()
	first()

	h.wheel.removeClient(c)
	ctx, cancel := context.WithTimeout(context.Background(), h.opts.ClaimWait)
	defer cancel()
	c.unwatchAll(ctx, watched)
	// Leaves come before the name is free: a page that was reloaded may call the same peer at once, which
	// should have hung up by then.
	c.hangUp(ctx)
	h.clients.removeClient(c)
	if name != "" {
		c.releaseName(ctx, name)
		h.metrics.signedIn.Dec()
	}
	if refused {
		c.flushes.Wait() // for the goodbye to be written, which takes no longer than writes may
	}
	c.conn.Abort()
	c.flushes.Wait()
	h.metrics.clients.Dec()
	h.metrics.ended[why].Inc()
	c.debug("client gone", slog.String("name", name), slog.String("reason", why.String()))
	return true
}

func (c *Client) addr() broker.Addr { return broker.Addr{Node: c.hub.nodeID, Client: c.id} }

func (c *Client) debug(msg string, attrs ...slog.Attr) {
	if !c.hub.log.Enabled(c.hub.ctx, slog.LevelDebug) {
		return
	}
	attrs = append(attrs, slog.String("client", c.id.String()))
	c.hub.log.LogAttrs(c.hub.ctx, slog.LevelDebug, msg, attrs...)
}
