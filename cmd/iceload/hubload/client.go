package hubload

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	gorilla "github.com/gorilla/websocket"
)

// client is a connection that has signed in.
type client struct {
	name string
	ws   *gorilla.Conn
	peer *client

	// Only the goroutine that sends uses seq.
	seq uint64

	lastReceivedSeq atomic.Uint64 // the highest sequence number received
	messageArrived  chan struct{} // buffer of one; receives a value for each arrival
}

// loopbackSources is how many source addresses clients use on the IPv4 loopback.
const loopbackSources = 250

// dialer opens connections. It is safe for concurrent use.
type dialer struct {
	opts         *Options
	codec        codec
	url          string
	header       http.Header
	connections  atomic.Uint64
	writeBuffers sync.Pool
}

func newDialer(o *Options) *dialer {
	host := o.Host
	if host == "" {
		host = o.Server.String()
	}
	scheme := "ws"
	d := &dialer{opts: o, codec: newCodec(o.Protocol), header: http.Header{"Origin": {"http://" + host}}}
	if o.TLS {
		scheme = "wss"
		d.header.Set("Origin", "https://"+host)
	}
	d.url = fmt.Sprintf("%s://%s%s", scheme, host, o.Path)
	return d
}

// connect opens a WebSocket.
func (d *dialer) connect(ctx context.Context) (*gorilla.Conn, error) {
	var network net.Dialer
	if a := d.opts.Server.Addr(); a.Is4() && a.IsLoopback() {
		source := netip.AddrFrom4([4]byte{127, 1, 0, byte(1 + d.connections.Add(1)%loopbackSources)})
		network.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
	}
	ws := gorilla.Dialer{
		NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return network.DialContext(ctx, "tcp", d.opts.Server.String())
		},
		TLSClientConfig:  &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // a load test, not a conversation
		HandshakeTimeout: replyTimeout,
		ReadBufferSize:   1 << 10,
		WriteBufferPool:  &d.writeBuffers,
		Subprotocols:     d.codec.subprotocols(),
	}
	conn, resp, err := ws.DialContext(ctx, d.url, d.header)
	if resp != nil {
		_ = resp.Body.Close()
	}
	if err != nil && resp != nil {
		err = fmt.Errorf("%w: %s", err, resp.Status)
	}
	return conn, err
}

// signIn opens a connection and signs in under name.
func (d *dialer) signIn(ctx context.Context, name string) (*client, error) {
	ws, err := d.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	c := &client{name: name, ws: ws, messageArrived: make(chan struct{}, 1)}
	if err := c.exchangeSignIn(d.codec); err != nil {
		_ = ws.Close()
		return nil, fmt.Errorf("sign in: %w", err)
	}
	return c, nil
}

// exchangeSignIn sends the sign-in request and waits for the server to accept it.
func (c *client) exchangeSignIn(proto codec) error {
	_ = c.ws.SetReadDeadline(time.Now().Add(replyTimeout))
	_ = c.ws.SetWriteDeadline(time.Now().Add(replyTimeout))
	if err := c.ws.WriteMessage(gorilla.TextMessage, proto.signInRequest(c.name)); err != nil {
		return err
	}
	for {
		_, text, err := c.ws.ReadMessage()
		if err != nil {
			return err
		}
		ok, err := proto.checkSignInReply(text)
		if err != nil {
			return err
		}
		if ok {
			break
		}
	}
	if text := proto.afterSignIn(); text != nil {
		return c.ws.WriteMessage(gorilla.TextMessage, text)
	}
	return nil
}

var goingAway = gorilla.FormatCloseMessage(gorilla.CloseGoingAway, "")

// sendGoodbye tells the server that the client signs out and will not resume.
func (c *client) sendGoodbye(proto codec) error {
	deadline := time.Now().Add(replyTimeout)
	if text := proto.leaveMessage(); text != nil {
		_ = c.ws.SetWriteDeadline(deadline)
		return c.ws.WriteMessage(gorilla.TextMessage, text)
	}
	return c.ws.WriteControl(gorilla.CloseMessage, goingAway, deadline)
}

// signOut says goodbye and waits until the server closes the connection, as a browser does when the
// user leaves a page.
func (c *client) signOut(proto codec) error {
	defer func() { _ = c.ws.Close() }()
	if err := c.sendGoodbye(proto); err != nil {
		return err
	}
	_ = c.ws.SetReadDeadline(time.Now().Add(replyTimeout))
	for {
		_, _, err := c.ws.NextReader()
		var closed *gorilla.CloseError
		if errors.As(err, &closed) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
