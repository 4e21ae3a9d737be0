package turnserver

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"icebox/turnserver/dtlsgate"
)

// dtlsWire is the net.PacketConn that a DTLS connection believes to own: it reads
// what the socket received from one client, and writes to that client.
type dtlsWire struct {
	paths  *dtlsPaths
	remote netip.AddrPort
	in     chan []byte
	// challenged is called in place of sending a HelloVerifyRequest, which the client has had. Set before the handshake.
	challenged func()

	once   sync.Once
	closed chan struct{}

	mu      sync.Mutex
	expired chan struct{} // closed when the read deadline has passed
	passed  bool
	timer   *time.Timer
}

func newDTLSWire(d *dtlsPaths, remote netip.AddrPort) *dtlsWire {
	return &dtlsWire{
		paths:   d,
		remote:  remote,
		in:      make(chan []byte, dtlsQueue),
		closed:  make(chan struct{}),
		expired: make(chan struct{}),
	}
}

// put queues a copy of b, unless the queue is full.
func (w *dtlsWire) put(b []byte) bool {
	select {
	case w.in <- append([]byte(nil), b...):
		return true
	default:
		return false
	}
}

// ReadFrom implements net.PacketConn.
func (w *dtlsWire) ReadFrom(b []byte) (int, net.Addr, error) {
	w.mu.Lock()
	expired := w.expired
	w.mu.Unlock()
	select {
	case d := <-w.in:
		return copy(b, d), net.UDPAddrFromAddrPort(w.remote), nil
	case <-w.closed:
		return 0, nil, net.ErrClosed
	case <-expired:
		return 0, nil, os.ErrDeadlineExceeded
	}
}

// WriteTo implements net.PacketConn.
func (w *dtlsWire) WriteTo(b []byte, _ net.Addr) (int, error) {
	if dtlsgate.IsChallenge(b) {
		w.challenged()
	} else {
		w.paths.write(w.remote, b)
	}
	return len(b), nil
}

// Close implements net.PacketConn. The socket itself stays open.
func (w *dtlsWire) Close() error {
	w.once.Do(func() { close(w.closed) })
	return nil
}

// LocalAddr implements net.PacketConn.
func (w *dtlsWire) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(w.paths.conn.LocalAddr()) }

// SetDeadline implements net.PacketConn.
func (w *dtlsWire) SetDeadline(t time.Time) error { return w.SetReadDeadline(t) }

// SetReadDeadline implements net.PacketConn. A reader that waits already is held to it too.
func (w *dtlsWire) SetReadDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
	if w.passed {
		w.expired, w.passed = make(chan struct{}), false
	}
	switch left := time.Until(t); {
	case t.IsZero():
	case left <= 0:
		w.expire(nil)
	default:
		var timer *time.Timer
		timer = time.AfterFunc(left, func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.expire(timer)
		})
		w.timer = timer
	}
	return nil
}

// expire wakes the reader, if timer is still the one that is set. mu is held.
func (w *dtlsWire) expire(timer *time.Timer) {
	if w.timer == timer && !w.passed {
		w.passed = true
		close(w.expired)
	}
}

// SetWriteDeadline implements net.PacketConn: a datagram never waits.
func (w *dtlsWire) SetWriteDeadline(time.Time) error { return nil }
