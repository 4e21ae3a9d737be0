package packetio

import (
	"errors"
	"net"
	"net/netip"
	"time"
)

// udp is the portable Conn: one datagram a system call.
type udp struct {
	conn      *net.UDPConn
	local     netip.AddrPort
	oversized func()
}

// NewUDP returns a Conn over c and owns c from then on. oversized is called for
// each datagram that is too long for the packet it was to be read into.
func NewUDP(c *net.UDPConn, oversized func()) Conn {
	a := c.LocalAddr().(*net.UDPAddr).AddrPort()
	return &udp{conn: c, local: netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port()), oversized: oversized}
}

// How long a reader rests after an error that is not the end, such as ENOBUFS.
const retryAfter = 10 * time.Millisecond

func (u *udp) ReadBatch(ps []*Packet) (int, error) {
	p := ps[0]
	for {
		n, addr, err := u.conn.ReadFromUDPAddrPort(p.Buf[Headroom:])
		switch {
		case errors.Is(err, net.ErrClosed):
			return 0, net.ErrClosed
		case err != nil:
			time.Sleep(retryAfter)
		case n > len(p.Buf)-Headroom-Tailroom:
			u.oversized()
		default:
			p.Addr = netip.AddrPortFrom(addr.Addr().Unmap().WithZone(""), addr.Port())
			p.Off, p.End = Headroom, Headroom+n
			return 1, nil
		}
	}
}

func (u *udp) WriteBatch(ps []*Packet) int {
	n := 0
	for _, p := range ps {
		if p.DontFragment && !u.dontFragment(true) {
			continue // RFC 8656 section 11.3: discard where it can't be done
		}
		if _, err := u.conn.WriteToUDPAddrPort(p.Payload(), p.Addr); err == nil {
			n++
		}
		if p.DontFragment {
			u.dontFragment(false)
		}
	}
	return n
}

func (u *udp) LocalAddr() netip.AddrPort { return u.local }
func (u *udp) Close() error              { return u.conn.Close() }
