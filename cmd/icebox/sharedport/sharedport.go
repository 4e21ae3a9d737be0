// Package sharedport serves web clients and TURN clients on one TLS port. Some networks allow only connections to port
// 443, so both need that port.
//
// The application protocol that a client negotiates (ALPN) shows its kind: h2 and http/1.1 are web clients, stun.turn and
// stun.nat-discovery (RFC 7443) are TURN clients. Some clients negotiate none, such as browsers for TURN and old programs for
// HTTP. The first byte that they send shows their kind: it is below 4 in a STUN request (RFC 8489 section 5) and a capital
// letter in an HTTP request. In both protocols the client sends first. A client has 10 s for the handshake and that byte (see
// package preaccept).
//
// WebSockets need HTTP/1.1. A browser that has an HTTP/2 connection opens another connection for them, on which it offers
// http/1.1 only.
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

// Protocols returns the application protocols that a server on a shared port offers, in the order of preference.
func Protocols() []string { return []string{"h2", "http/1.1", "stun.turn", "stun.nat-discovery"} }

// kind is the kind of a connection. It is also the label of the metric.
type kind string

const (
	web     kind = "web"
	turn    kind = "turn"
	refused kind = "handshake" // the handshake failed
	silent  kind = "silent"    // the client sent no byte in time
	unknown kind = "unknown"   // neither web nor TURN
)

// Options configure a shared port. All are required.
type Options struct {
	TLS         *tls.Config    // offers Protocols
	TURN        func(net.Conn) // serves a connection after its handshake, and returns when that has ended
	Log         *slog.Logger
	Connections *prometheus.CounterVec // from NewCounter
}

// NewCounter registers and returns the metric of all shared ports.
func NewCounter(r prometheus.Registerer) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "icebox_http_shared_connections_total", Help: "Connections on ports that web and TURN share, by the kind of client.",
	}, []string{"kind"})
	r.MustRegister(c)
	for _, k := range []kind{web, turn, refused, silent, unknown} {
		c.WithLabelValues(string(k))
	}
	return c
}

// Share serves the TURN clients that connect to raw, and takes ownership of raw. Accept of the listener that it returns
// has the connections of web clients.
func Share(raw net.Listener, o Options) *preaccept.Listener {
	return preaccept.New(raw, o.Log, func(l *preaccept.Listener) preaccept.Inspect {
		return func(ctx context.Context, c net.Conn) (func(), error) {
			conn, k := identify(ctx, tls.Server(c, o.TLS))
			o.Connections.WithLabelValues(string(k)).Inc()
			switch k {
			case web:
				return func() { l.Deliver(conn) }, nil
			case turn:
				return func() { o.TURN(conn) }, nil
			}
			return nil, errors.New("neither a web client nor a TURN client")
		}
	})
}

// identify performs the TLS handshake of c and returns the kind of the client.
func identify(ctx context.Context, c *tls.Conn) (net.Conn, kind) {
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
		return nil, unknown // a certificate authority that only wants the handshake (TLS-ALPN-01)
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

// peeked is a connection whose first byte has been read already. Its first Read returns that byte.
type peeked struct {
	*tls.Conn
	first [1]byte
	again bool // Read has returned first
}

func (p *peeked) Read(b []byte) (int, error) {
	if p.again || len(b) == 0 {
		return p.Conn.Read(b)
	}
	p.again = true
	b[0] = p.first[0]
	return 1, nil
}
