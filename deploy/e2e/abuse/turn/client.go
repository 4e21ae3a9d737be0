// Package turn is a TURN client (RFC 8656) for tests. It sends only the requests that its caller asks for, has no timers,
// refreshes nothing, and returns every error code. Over UDP it retransmits as RFC 8489 section 6.2.1 says.
//
// A Client is not safe for concurrent use.
package turn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"icebox/deploy/e2e/abuse/stun"
)

// Retransmissions of RFC 8489 section 6.2.1.
const (
	rto      = 500 * time.Millisecond
	maxSends = 7
	lastWait = 16 * rto
)

// patience is how long a response over a reliable transport may take.
const patience = 20 * time.Second

// Refused is a response with an error code.
type Refused struct{ Code int }

func (r *Refused) Error() string { return fmt.Sprintf("the relay refuses with code %d", r.Code) }

// ErrSilence means that no response came in time.
var ErrSilence = errors.New("the relay does not respond")

// Client is a client on one 5-tuple.
type Client struct {
	Sends  int // number of requests sent so far, including retransmissions
	conn   net.Conn
	stream bool // conn is a byte stream, in which messages follow one another
	lossy  bool // conn may lose requests, so they are sent again
	login  Login
	realm  string
	nonce  string
	key    []byte
	rest   []byte   // bytes of a stream that belong to the next messages
	data   [][]byte // messages that arrived while a response was awaited
	buf    []byte
}

// New returns a client that uses the connection c to a relay. Closing the client closes c.
func New(c net.Conn, login Login) *Client {
	_, stream := c.RemoteAddr().(*net.TCPAddr)
	return &Client{conn: c, stream: stream, lossy: !stream, login: login, buf: make([]byte, 4096)}
}

// Connect dials a relay and returns a client.
func Connect(ctx context.Context, t Transport, from netip.Addr, to netip.AddrPort, login Login) (*Client, error) {
	c, err := Dial(ctx, t, from, to)
	if err != nil {
		return nil, err
	}
	return New(c, login), nil
}

// Close closes the connection. The relay notices this on a stream, but not over UDP.
func (c *Client) Close() error { return c.conn.Close() }

// Local returns the client's own address.
func (c *Client) Local() net.Addr { return c.conn.LocalAddr() }

// Request runs one transaction. It signs the request if the relay has sent a nonce. For a response with an error code, the
// error is a *Refused.
func (c *Client) Request(typ uint16, attrs ...stun.Attr) (stun.Message, error) {
	if c.nonce != "" {
		attrs = append(attrs, stun.Text(stun.Username, c.login.User), stun.Text(stun.Realm, c.realm), stun.Text(stun.Nonce, c.nonce))
	}
	id := stun.NewID()
	b := stun.Build(typ, id, attrs...)
	if c.nonce != "" {
		b = stun.Sign(b, c.key)
	}
	m, err := c.transact(b, id)
	if err == nil && m.Code() != 0 {
		err = &Refused{m.Code()}
	}
	return m, err
}

// transact sends a request and retransmits it until a response arrives.
func (c *Client) transact(b []byte, id stun.ID) (stun.Message, error) {
	sends, wait := maxSends, rto
	if !c.lossy {
		sends, wait = 1, patience
	}
	for i := range sends {
		if _, err := c.conn.Write(b); err != nil {
			return stun.Message{}, err
		}
		c.Sends++
		if c.lossy && i == maxSends-1 {
			wait = lastWait
		}
		m, err := c.await(id, time.Now().Add(wait))
		if !errors.Is(err, ErrSilence) {
			return m, err
		}
		wait *= 2
	}
	return stun.Message{}, ErrSilence
}

// await reads until the response with the transaction id arrives. It keeps other messages for Receive.
func (c *Client) await(id stun.ID, until time.Time) (stun.Message, error) {
	if err := c.conn.SetReadDeadline(until); err != nil {
		return stun.Message{}, err
	}
	for {
		b, err := c.read()
		if err != nil {
			return stun.Message{}, silence(err)
		}
		m, err := stun.Parse(b)
		switch {
		case err == nil && m.ID == id:
			return m, nil
		case len(c.data) < 1024:
			c.data = append(c.data, b)
		}
	}
}

// silence wraps a timeout in ErrSilence.
func silence(err error) error {
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		return fmt.Errorf("%w: %w", ErrSilence, err)
	}
	return err
}

// read returns a copy of the next message.
func (c *Client) read() ([]byte, error) {
	if !c.stream {
		n, err := c.conn.Read(c.buf)
		return append([]byte(nil), c.buf[:n]...), err
	}
	for {
		if size := stun.Frame(c.rest); size > 0 && size <= len(c.rest) {
			b := append([]byte(nil), c.rest[:size]...)
			c.rest = c.rest[size:]
			return b, nil
		}
		n, err := c.conn.Read(c.buf)
		if err != nil {
			return nil, err
		}
		c.rest = append(c.rest, c.buf[:n]...)
	}
}

// Signed returns a signed request, as Request would send it after SignIn.
func (c *Client) Signed(typ uint16, attrs ...stun.Attr) []byte {
	attrs = append(attrs, stun.Text(stun.Username, c.login.User), stun.Text(stun.Realm, c.realm), stun.Text(stun.Nonce, c.nonce))
	return stun.Sign(stun.Build(typ, stun.NewID(), attrs...), c.key)
}

// SignIn sends an unsigned Allocate and takes realm and nonce from the challenge.
func (c *Client) SignIn() error {
	c.nonce = ""
	m, err := c.Request(stun.Allocate, stun.UDPTransport())
	var refused *Refused
	if !errors.As(err, &refused) || refused.Code != 401 {
		return fmt.Errorf("no challenge: %w", err)
	}
	c.realm, c.nonce = string(m.Get(stun.Realm)), string(m.Get(stun.Nonce))
	c.key = c.login.key(c.realm)
	return nil
}

// Family returns REQUESTED-ADDRESS-FAMILY: 1 is IPv4, 2 is IPv6.
func Family(family byte) stun.Attr {
	return stun.Uint32(stun.RequestedAddressFamily, uint32(family)<<24)
}

// Allocate signs in, allocates and returns the relayed address.
func (c *Client) Allocate(attrs ...stun.Attr) (netip.AddrPort, error) {
	if err := c.SignIn(); err != nil {
		return netip.AddrPort{}, err
	}
	m, err := c.Request(stun.Allocate, append([]stun.Attr{stun.UDPTransport()}, attrs...)...)
	if err != nil {
		return netip.AddrPort{}, err
	}
	a, ok := m.Address(stun.XORRelayedAddress)
	if !ok {
		return a, errors.New("the success has no relayed address")
	}
	return a, nil
}

// Permit creates permissions.
func (c *Client) Permit(peers ...netip.AddrPort) error {
	var attrs []stun.Attr
	for _, p := range peers {
		attrs = append(attrs, stun.Peer(p))
	}
	_, err := c.Request(stun.CreatePermission, attrs...)
	return err
}

// Bind binds a channel.
func (c *Client) Bind(number uint16, peer netip.AddrPort) error {
	_, err := c.Request(stun.ChannelBind, stun.Channel(number), stun.Peer(peer))
	return err
}

// Release ends the allocation.
func (c *Client) Release() error {
	_, err := c.Request(stun.Refresh, stun.Uint32(stun.Lifetime, 0))
	return err
}

// SendOn sends data on a channel.
func (c *Client) SendOn(number uint16, data []byte) error {
	_, err := c.conn.Write(stun.ChannelData(number, data))
	return err
}

// SendTo sends data to a peer in a Send indication.
func (c *Client) SendTo(peer netip.AddrPort, data []byte) error {
	_, err := c.conn.Write(stun.Build(stun.Send, stun.NewID(), stun.Peer(peer), stun.Attr{Type: stun.DataValue, Value: data}))
	return err
}

// Receive returns the next message that is not a response: ChannelData or a Data indication.
func (c *Client) Receive(within time.Duration) ([]byte, error) {
	if len(c.data) > 0 {
		b := c.data[0]
		c.data = c.data[1:]
		return b, nil
	}
	if err := c.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		return nil, err
	}
	b, err := c.read()
	return b, silence(err)
}
