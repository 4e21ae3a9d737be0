package signal

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"

	"icebox/signal/broker"
	"icebox/signal/rate"
)

// tokenLen is the length of a decoded client token in bytes: the client's ID and a secret.
const tokenLen = len(broker.ID{}) + 16

type state uint8

const (
	stateOpen   state = iota
	stateEnding       // End was called: the queue ends with a close frame, is being written, and accepts nothing more
	stateClosed
)

// Client is one connection that speaks some protocol. Each method says which goroutines may call it. "The reader" is the
// goroutine that reads the client's connection, or that handles the messages read from it; there is one at a time.
type Client struct {
	// Constant after newClient.
	hub         *Hub
	conn        Conn
	nonblocking NonblockingConn // conn, if it implements that; otherwise nil
	profile     Profile
	visitor     Visitor
	id          broker.ID
	secret      [16]byte
	wheelSlot   uint8
	done        chan struct{} // closed when the state stops being stateOpen

	// Accessed by any goroutine. Times are the hub's.
	lastSeen atomic.Int64 // when the client last sent anything
	pingSent atomic.Int64 // when the oldest unanswered ping was written; if it is not after lastSeen, all pings are answered

	// Accessed by the reader only.
	bucket    rate.Bucket
	throttled bool

	flushes sync.WaitGroup // the goroutine that writes, while there is one
	// hangUpMu is held while peers are notified, so that a second caller of hangUp waits until the first has notified all
	// of them.
	hangUpMu sync.Mutex

	// Guarded by mu.
	mu     sync.Mutex
	state  state
	reason Reason
	name   string
	pairs  pairs
	queue  queue
	probed chan struct{} // closed at the next sign of life; nil when no goroutine waits for one

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

// Addr returns the address at which other clients, on any node, reach this client.
func (c *Client) Addr() broker.Addr { return broker.Addr{Node: c.hub.nodeID, Client: c.id} }

// Conn returns the connection that was passed to [Hub.Connect].
func (c *Client) Conn() Conn { return c.conn }

// Visitor returns the description of the client's connection that was passed to [Hub.Connect].
func (c *Client) Visitor() Visitor { return c.visitor }

// AddrKey returns the address under which limits count the client.
func (c *Client) AddrKey() netip.Addr { return c.hub.AddrKey(c.visitor.Addr) }

// Done returns a channel that is closed when the client begins to end.
func (c *Client) Done() <-chan struct{} { return c.done }

// Name returns the name that the client is signed in under, or "" if it has none or is ending.
func (c *Client) Name() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateOpen {
		return ""
	}
	return c.name
}

// Token returns the secret by which [Hub.SignedInClient] and [Hub.ClientByToken] recognize this client, in base64url.
func (c *Client) Token() string {
	raw := make([]byte, 0, tokenLen)
	raw = append(append(raw, c.id[:]...), c.secret[:]...)
	return base64.RawURLEncoding.EncodeToString(raw)
}

// End starts closing the connection: it queues a close frame with the reason, and returns at once. Only the first call has
// an effect. Any goroutine may call it.
func (c *Client) End(why Reason) {
	c.mu.Lock()
	if c.state != stateOpen {
		c.mu.Unlock()
		return
	}
	c.state, c.reason = stateEnding, why
	close(c.done)
	c.notifyProbes()
	unresponsive := why == SlowReader || why == WriteFailed || why == PongTimeout || why == Superseded
	if unresponsive {
		c.queue.clear()
		c.updateReservation()
	}
	writeBlocked := unresponsive && c.queue.flushing
	c.queue.push(item{kind: closeFrame})
	c.startFlush()
	c.mu.Unlock()
	if writeBlocked {
		c.conn.Abort()
	}
}

// Close releases everything that the client holds, and returns when none of its goroutines runs any more. The reader calls
// it once, when reading has ended, unless TryClose has returned true.
func (c *Client) Close() { c.close(func() {}, true) }

// TryClose is [Client.Close] for a reader that serves several clients and must not block. If it would have to block, it
// changes nothing and returns false. Otherwise it calls first before the remote side or another client can notice the end.
func (c *Client) TryClose(first func()) (done bool) {
	return c.hub.broker.Local() && c.close(first, false)
}

func (c *Client) close(first func(), mayWait bool) (done bool) {
	h := c.hub
	c.mu.Lock()
	wasEnding := c.state == stateEnding
	if !mayWait && (wasEnding || c.queue.flushing) {
		c.mu.Unlock()
		return false
	}
	defer h.tracked.Done()
	if !wasEnding {
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
	// Hang up before releasing the name: a reloaded page may claim the name and call the same peer at once. By then the
	// peer must have ended the earlier call.
	c.hangUp(ctx)
	h.clients.removeClient(c)
	if name != "" {
		c.releaseName(ctx, name)
		h.metrics.signedIn.Dec()
	}
	if wasEnding {
		c.flushes.Wait() // until the close frame is written; a write fails after Options.WriteWait at the latest
	}
	c.conn.Abort()
	c.flushes.Wait()
	h.metrics.clients.Dec()
	h.metrics.ended[why].Inc()
	c.debug("client ended", slog.String("name", name), slog.String("reason", why.String()))
	return true
}

func (c *Client) debug(msg string, attrs ...slog.Attr) {
	if !c.hub.log.Enabled(c.hub.ctx, slog.LevelDebug) {
		return
	}
	attrs = append(attrs, slog.String("client", c.id.String()))
	c.hub.log.LogAttrs(c.hub.ctx, slog.LevelDebug, msg, attrs...)
}
