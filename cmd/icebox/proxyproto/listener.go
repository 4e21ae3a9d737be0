package proxyproto

import (
	"context"
	"log/slog"
	"net"
	"net/netip"

	"icebox/cmd/icebox/preaccept"
)

// Listen returns a listener on raw, which it owns. It reads a header from each connection whose remote address is
// trusted at that time. Accept returns such a connection positioned after the header, with the addresses of the header.
func Listen(raw net.Listener, trusted func(netip.Addr) bool, log *slog.Logger) *preaccept.Listener {
	return preaccept.New(raw, log, func(l *preaccept.Listener) preaccept.Inspect {
		return func(_ context.Context, c net.Conn) (func(), error) {
			peer, ok := c.RemoteAddr().(*net.TCPAddr)
			if !ok || !trusted(peer.AddrPort().Addr().Unmap()) {
				return func() { l.Deliver(c) }, nil
			}
			h, err := Read(c)
			if err != nil {
				log.Warn("a trusted proxy sent no valid PROXY header", "proxy", peer, "listener", raw.Addr(), "err", err)
				return nil, err
			}
			if h.Source.IsValid() {
				c = &conn{c, net.TCPAddrFromAddrPort(h.Source), net.TCPAddrFromAddrPort(h.Destination)}
			}
			return func() { l.Deliver(c) }, nil
		}
	})
}

// conn is a connection with the addresses of a header.
type conn struct {
	net.Conn
	remote, local *net.TCPAddr
}

func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) LocalAddr() net.Addr { return c.local }

// NetConn returns the connection to the proxy.
func (c *conn) NetConn() net.Conn { return c.Conn }
