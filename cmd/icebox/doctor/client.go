package doctor

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/pion/dtls/v3"

	"icebox/config"
	"icebox/turnserver/credential"
	"icebox/turnserver/wire"
)

// A Login is the username and password of a TURN client.
type Login struct{ Username, Password string }

// RefusedError is an error response of the relay.
type RefusedError struct {
	Method wire.Method
	Code   wire.Code
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s is refused with %d %s", e.Method, e.Code, e.Code.Reason())
}

// relayTimeout is how long the check of one transport may take.
const relayTimeout = 5 * time.Second

// firstRetry is the time after which the client repeats a request over UDP for the first time.
const firstRetry = 500 * time.Millisecond

// RelayToSelf makes an allocation at a target and sends a packet to the allocation's own relayed address, so that the
// relay has to send it back. It returns the server's realm. It returns the realm together with an error if the server
// has sent the realm before the error. It does not verify the certificate, because other checks do.
func RelayToSelf(ctx context.Context, t Target, login Login) (realm string, err error) {
	ctx, cancel := context.WithTimeout(ctx, relayTimeout)
	defer cancel()
	conn, err := dial(ctx, t)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return "", err
	}
	c := &client{Conn: conn, Login: login, stream: t.Transport.Stream(), in: bufio.NewReader(conn), deadline: deadline}
	relayed, err := c.allocate()
	if err != nil {
		return c.realm, err
	}
	defer func() { _, _ = c.request(wire.Refresh, func(b *wire.Builder) { b.Lifetime(0) }) }() // if this fails, the allocation expires
	return c.realm, c.sendToSelf(relayed)
}

func dial(ctx context.Context, t Target) (net.Conn, error) {
	to := t.Public.String()
	switch t.Transport {
	case config.TCP:
		return new(net.Dialer).DialContext(ctx, "tcp", to)
	case config.OverTLS:
		d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"stun.turn"}}} //nolint:gosec // see RelayToSelf
		return d.DialContext(ctx, "tcp", to)
	case config.DTLS:
		conn, err := dtls.DialWithOptions("udp", net.UDPAddrFromAddrPort(t.Public), dtls.WithInsecureSkipVerify(true))
		if err != nil {
			return nil, err
		}
		if err := conn.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		return conn, nil
	}
	return new(net.Dialer).DialContext(ctx, "udp", to)
}

// client is a TURN client with at most one request at a time.
type client struct {
	net.Conn
	Login
	stream       bool
	in           *bufio.Reader
	deadline     time.Time
	realm, nonce string
	key          []byte
}

// maxMessage is larger than every response that this client gets.
const maxMessage = 2048

// receive reads one message.
func (c *client) receive() ([]byte, error) {
	buf := make([]byte, maxMessage)
	if !c.stream {
		n, err := c.Read(buf)
		return buf[:n], err
	}
	head, err := c.in.Peek(wire.MinFrame)
	if err != nil {
		return nil, err
	}
	size, padded, err := wire.FrameSize(head, maxMessage)
	if err != nil {
		return nil, err
	}
	_, err = io.ReadFull(c.in, buf[:padded])
	return buf[:size], err
}

// exchange sends a message and returns the first message for which fits returns true. Over UDP it repeats the message.
func (c *client) exchange(message []byte, fits func(*wire.Message) bool) (*wire.Message, error) {
	for wait := firstRetry; ; wait *= 2 {
		if _, err := c.Write(message); err != nil {
			return nil, err
		}
		until := c.deadline
		if next := time.Now().Add(wait); !c.stream && next.Before(until) {
			until = next
		}
		if err := c.SetReadDeadline(until); err != nil {
			return nil, err
		}
		m, err := c.await(fits)
		var timeout net.Error
		switch {
		case err == nil:
			return m, nil
		case !errors.As(err, &timeout) || !timeout.Timeout():
			return nil, err
		case !time.Now().Before(c.deadline):
			return nil, errors.New("there was no response")
		}
	}
}

func (c *client) await(fits func(*wire.Message) bool) (*wire.Message, error) {
	for {
		raw, err := c.receive()
		if err != nil {
			return nil, err
		}
		m := new(wire.Message)
		if wire.Parse(raw, m) == nil && fits(m) {
			return m, nil
		}
	}
}

// request sends a request and returns the success response. It authenticates when the server asks for that.
func (c *client) request(method wire.Method, fill func(*wire.Builder)) (*wire.Message, error) {
	for attempt := 0; ; attempt++ {
		var id [wire.TransactionIDSize]byte
		_, _ = rand.Read(id[:]) // never fails
		b := wire.NewBuilder(nil, method, wire.Request, id)
		fill(b)
		if c.key != nil {
			b.Text(wire.AttrUsername, c.Username).Text(wire.AttrRealm, c.realm).Text(wire.AttrNonce, c.nonce).Integrity(c.key)
		}
		m, err := c.exchange(b.Bytes(), func(m *wire.Message) bool { return m.TransactionID == id })
		if err != nil || m.Class == wire.Success {
			return m, err
		}
		value, _ := m.Get(wire.AttrErrorCode)
		code := wire.Code(0)
		if len(value) >= 4 {
			code = wire.Code(int(value[2]&7)*100 + int(value[3]))
		}
		if attempt > 1 || code != wire.StaleNonce && (code != wire.Unauthorized || c.key != nil) {
			return nil, &RefusedError{method, code}
		}
		realm, _ := m.Get(wire.AttrRealm)
		nonce, _ := m.Get(wire.AttrNonce)
		c.realm, c.nonce = string(realm), string(nonce)
		c.key = credential.LongTermKey(c.Username, c.realm, c.Password)
	}
}

func (c *client) allocate() (netip.AddrPort, error) {
	m, err := c.request(wire.Allocate, func(b *wire.Builder) { b.Attribute(wire.AttrRequestedTransport, []byte{17, 0, 0, 0}) })
	if err != nil {
		return netip.AddrPort{}, err
	}
	value, _ := m.Get(wire.AttrXORRelayedAddress)
	relayed, ok := m.XORAddress(value)
	if !ok {
		return relayed, errors.New("the response to allocate has no relayed address")
	}
	return relayed, nil
}

// sendToSelf sends a packet to the relayed address through the relay, and waits until it comes back.
func (c *client) sendToSelf(relayed netip.AddrPort) error {
	if _, err := c.request(wire.CreatePermission, func(b *wire.Builder) { b.XORAddress(wire.AttrXORPeerAddress, relayed) }); err != nil {
		return err
	}
	var id [wire.TransactionIDSize]byte
	_, _ = rand.Read(id[:]) // never fails
	data := []byte(rand.Text())
	send := wire.NewBuilder(nil, wire.Send, wire.Indication, id).XORAddress(wire.AttrXORPeerAddress, relayed).Attribute(wire.AttrData, data).Bytes()
	_, err := c.exchange(send, func(m *wire.Message) bool {
		got, ok := m.Get(wire.AttrData)
		return ok && m.Method == wire.Data && string(got) == string(data)
	})
	if err != nil {
		return fmt.Errorf("a packet to %s did not come back: %w", relayed, err)
	}
	return nil
}
