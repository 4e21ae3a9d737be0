// Package sharedport shares one TLS port between web clients and TURN clients,
// which get through networks that let out nothing but 443.
//
// The protocol that a client negotiates (ALPN) decides: h2 and http/1.1 are the web,
// stun.turn and stun.nat-discovery (RFC 7443) are TURN. Many negotiate none,
// such as browsers for TURN, and old programs for HTTP: they are told apart by the first
// byte they send, which is below 4 in a STUN request (RFC 8489 section 5) and a
// letter in an HTTP request. Both let the client speak first. A client has 10 s
// for the handshake and that byte (see package preaccept).
//
// WebSockets need HTTP/1.1: a browser that has an HTTP/2 connection opens another
// one for them, on which it offers http/1.1 alone.
package sharedport

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"

	"github.com/prometheus/client_golang/prometheus"

	"icebox/cmd/icebox/preaccept"
)

// Protocols are what a server on a shared port offers, the dearest first.
func Protocols() []string { return []string{"h2", "http/1.1", "stun.turn", "stun.nat-discovery"} }

// kind is what a connection turned out to be, and the label of its metric.
type kind string

const (
	web     kind = "web"
	turn    kind = "turn"
	refused kind = "handshake" // it failed
	silent  kind = "silent"    // no byte in time
	unknown kind = "unknown"   // none of what is served here
)

// Options say what is on the port.
type Options struct {
	TLS         *tls.Config            // with Protocols
	TURN        func(net.Conn)         // serves a connection that is past its handshake, and returns when it is done
	Log         *slog.Logger           // must not be nil
	Connections *prometheus.CounterVec // see NewCounter
}

// NewCounter is the metric of all shared ports.
func NewCounter(r prometheus.Registerer) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "icebox_http_shared_connections_total", Help: "Connections on ports that web and TURN share, by what they turned out to be.",
	}, []string{"kind"})
	r.MustRegister(c)
	for _, k := range []kind{web, turn, refused, silent, unknown} {
		c.WithLabelValues(string(k))
	}
	return c
}

// Share serves TURN on raw, which it owns, and hands on the web's connections.
func Share(raw net.Listener, o Options) *preaccept.Listener {
	return preaccept.New(raw, o.Log, func(l *preaccept.Listener) preaccept.Look {
		return func(ctx context.Context, c net.Conn) (func(), error) {
			decided, k := decide(ctx, tls.Server(c, o.TLS))
			o.Connections.WithLabelValues(string(k)).Inc()
			switch k {
			case web:
				return func() { l.Deliver(decided) }, nil
			case turn:
				return func() { o.TURN(decided) }, nil
			}
			return nil, errors.New("neither web nor turn")
		}
	})
}

// decide shakes hands and finds out what c is.
func decide(ctx context.Context, c *tls.Conn) (net.Conn, kind) {
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, refused
	}
	switch c.ConnectionState().NegotiatedProtocol {
	case "h2", "http/1.1":
		return c, web
	case "stun.turn", "stun.nat-discovery":
		return c, turn
	case "":
	default:
		return nil, unknown // a certificate authority that wanted to see the handshake
	}
	p := &peeked{Conn: c}
	if _, err := c.Read(p.first[:]); err != nil {
		return nil, silent
	}
	switch b := p.first[0]; {
	case b < 4:
		return p, turn
	case b >= 'A' && b <= 'Z':
		return p, web
	}
	return nil, unknown
}

// peeked is a connection whose first byte is read again.
type peeked struct {
	*tls.Conn
	first [1]byte
	again bool // it has been
}

func (p *peeked) Read(b []byte) (int, error) {
	if p.again || len(b) == 0 {
		return p.Conn.Read(b)
	}
	p.again = true
	b[0] = p.first[0]
	return 1, nil
}
