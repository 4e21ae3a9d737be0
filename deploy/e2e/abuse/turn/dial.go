package turn

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"

	"github.com/pion/dtls/v3"
)

// Transport is the transport between a client and its relay.
type Transport string

// The transports.
const (
	UDP  Transport = "udp"
	TCP  Transport = "tcp"
	TLS  Transport = "tls"
	DTLS Transport = "dtls"
)

// Dial connects to a relay from an address of this host. It returns after the handshake of TLS or DTLS.
func Dial(ctx context.Context, t Transport, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	switch t {
	case UDP:
		d := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
		return d.DialContext(ctx, "udp", to.String())
	case TCP:
		d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
		return d.DialContext(ctx, "tcp", to.String())
	case TLS:
		raw, err := Dial(ctx, TCP, from, to)
		if err != nil {
			return nil, err
		}
		c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the test made the certificate itself
		if err := c.HandshakeContext(ctx); err != nil {
			_ = raw.Close() // the connection was never used
			return nil, err
		}
		return c, nil
	case DTLS:
		return dialDTLS(ctx, from, to)
	}
	return nil, fmt.Errorf("unknown transport %q", t)
}

func dialDTLS(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	raw, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)))
	if err != nil {
		return nil, err
	}
	c, err := SecureUDP(ctx, raw, to)
	if err != nil {
		_ = raw.Close() // the socket was never used
	}
	return c, err
}

// SecureUDP runs a DTLS handshake over a socket. Closing the connection closes the socket.
func SecureUDP(ctx context.Context, raw net.PacketConn, to netip.AddrPort) (net.Conn, error) {
	c, err := dtls.ClientWithOptions(raw, net.UDPAddrFromAddrPort(to), dtls.WithInsecureSkipVerify(true))
	if err != nil {
		return nil, err
	}
	return c, c.HandshakeContext(ctx)
}
