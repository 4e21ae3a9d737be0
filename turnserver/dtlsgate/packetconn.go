package dtlsgate

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// queueLength is how many datagrams may wait for the reader of a PacketConn.
const queueLength = 64

// PacketConn is the net.PacketConn of one DTLS connection. It reads the datagrams that the socket received from one client
// and writes to that client.
type PacketConn struct {
	local, remote netip.AddrPort
	send          func(b []byte)
	received      chan []byte
	// OnChallenge is called in place of sending a HelloVerifyRequest, which the client has already answered. It is called
	// by the goroutine that runs the handshake, and must be set before the handshake.
	OnChallenge func()

	closeOnce sync.Once
	closed    chan struct{}

	mu      sync.Mutex
	expired chan struct{} // closed when the read deadline has passed
	passed  bool          // expired is closed
	timer   *time.Timer   // of the read deadline; nil without one
}

// NewPacketConn returns a PacketConn for the client at remote. send sends one datagram to it and must not keep b.
func NewPacketConn(local, remote netip.AddrPort, send func(b []byte)) *PacketConn {
	return &PacketConn{
		local:    local,
		remote:   remote,
		send:     send,
		received: make(chan []byte, queueLength),
		closed:   make(chan struct{}),
		expired:  make(chan struct{}),
	}
}

// Deliver queues a copy of a datagram from the client and reports whether there was room.
func (c *PacketConn) Deliver(b []byte) bool {
	select {
	case c.received <- append([]byte(nil), b...):
		return true
	default:
		return false
	}
}

// ReadFrom implements net.PacketConn.
func (c *PacketConn) ReadFrom(b []byte) (int, net.Addr, error) {
	c.mu.Lock()
	expired := c.expired
	c.mu.Unlock()
	select {
	case d := <-c.received:
		return copy(b, d), net.UDPAddrFromAddrPort(c.remote), nil
	case <-c.closed:
		return 0, nil, net.ErrClosed
	case <-expired:
		return 0, nil, os.ErrDeadlineExceeded
	}
}

// WriteTo implements net.PacketConn.
func (c *PacketConn) WriteTo(b []byte, _ net.Addr) (int, error) {
	if IsChallenge(b) {
		c.OnChallenge()
	} else {
		c.send(b)
	}
	return len(b), nil
}

// Close implements net.PacketConn. It does not close the socket.
func (c *PacketConn) Close() error {
	c.closeOnce.Do(func() { close(c.closed) })
	return nil
}

// LocalAddr implements net.PacketConn.
func (c *PacketConn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(c.local) }

// SetDeadline implements net.PacketConn.
func (c *PacketConn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetReadDeadline implements net.PacketConn. It also applies to a ReadFrom that is already blocked.
func (c *PacketConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	if c.passed {
		c.expired, c.passed = make(chan struct{}), false
	}
	switch left := time.Until(t); {
	case t.IsZero():
	case left <= 0:
		c.expire(nil)
	default:
		var timer *time.Timer
		timer = time.AfterFunc(left, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.expire(timer)
		})
		c.timer = timer
	}
	return nil
}

// expire wakes the reader if timer is still the current one. The caller holds mu.
func (c *PacketConn) expire(timer *time.Timer) {
	if c.timer == timer && !c.passed {
		c.passed = true
		close(c.expired)
	}
}

// SetWriteDeadline implements net.PacketConn. It does nothing, because writing a datagram does not block.
func (c *PacketConn) SetWriteDeadline(time.Time) error { return nil }
