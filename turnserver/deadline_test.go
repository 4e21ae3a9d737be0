package turnserver

import (
	"crypto/tls"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"icebox/turnserver/wire"
)

// lasts asserts that the server closes the connection after d from now, and not before.
func (c *client) lasts(d time.Duration) {
	c.t.Helper()
	start := time.Now()
	c.wantClosed()
	if got := time.Since(start); got != d {
		c.t.Errorf("closed after %v, want %v", got, d)
	}
}

// inBubble runs a test in a synctest bubble, where waiting takes no time.
func inBubble(t *testing.T, test func(t *testing.T, network *memoryNet, ts *testServer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cert := testCertificate(t)
		network := newMemoryNet()
		test(t, network, serveInMemory(t, network, func(o *Options, _ *Limits) {
			o.GetCertificate = func() (*tls.Certificate, error) { return cert, nil }
		}))
	})
}

// The server closes the stream of a client that sends nothing after 30 s. It closes one that has begun a message 10 s after the first
// byte, even if further bytes arrive slowly.
func TestDeadlinesOfStrangers(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *memoryNet, ts *testServer) {
		ts.pipe(t, memoryHome, TCP).lasts(idleTimeout)

		c := ts.pipe(t, memoryHome, TCP)
		c.login()
		c.lasts(idleTimeout)

		for _, n := range []int{1, 3, 4, 7, 8, 19} {
			c := ts.pipe(t, memoryHome, TCP)
			c.writeRaw(message(wire.Request, wire.Binding, nil)[:n])
			c.lasts(frameTimeout)
		}

		c = ts.pipe(t, memoryHome, TCP)
		for _, b := range message(wire.Request, wire.Binding, nil)[:10] { // one byte each second, the last one after 9 s
			c.writeRaw([]byte{b})
			time.Sleep(time.Second)
		}
		c.lasts(0)

		c = ts.pipe(t, memoryHome, TCP) // a client that sends whole messages may stay
		for range 100 {
			time.Sleep(idleTimeout - time.Second)
			c.wantNothing()
		}
		c.lasts(idleTimeout)
	})
}

// The 10 s of a frame begin with its first byte, also if that arrived together with the frame before it.
func TestFrameBehindFrame(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *memoryNet, ts *testServer) {
		c := ts.pipe(t, memoryHome, TCP)
		binding := message(wire.Request, wire.Binding, nil)
		c.writeRaw(binding[:10])
		for range 5 {
			time.Sleep(frameTimeout - time.Second)
			c.writeRaw(append(append([]byte(nil), binding[10:]...), binding[:10]...))
			c.read()
		}
		c.lasts(frameTimeout)
	})
}

// A client with an allocation may be silent between frames, but not within one.
func TestClientsMayBeSilent(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *memoryNet, ts *testServer) {
		c := ts.pipe(t, memoryHome, TCP)
		c.allocate(0)
		for range 10 {
			time.Sleep(590 * time.Second)
			if m := c.do(wire.Refresh, nil); code(m) == wire.StaleNonce {
				nonce, _ := m.Get(wire.AttrNonce)
				c.nonce = string(nonce)
				c.must(c.do(wire.Refresh, nil), 0)
			}
		}
		c.writeRaw([]byte{0x40, 0, 0, 9})
		c.lasts(frameTimeout)
		synctest.Wait()
		if testutil.ToFloat64(ts.ended[EndClosed]) != 1 {
			t.Error("no session ended as closed")
		}

		// After its allocation has ended in any way, the client has 30 s again.
		c = ts.pipe(t, memoryHome, TCP)
		c.allocate(0)
		c.lasts(defaultLifetime + idleTimeout)
		c = ts.pipe(t, memoryHome, TCP)
		c.allocate(0)
		c.must(c.do(wire.Refresh, attr(wire.AttrLifetime, 0, 0, 0, 0)), 0)
		c.lasts(idleTimeout)
	})
}

// A TLS handshake that takes longer than 10 s ends the connection.
func TestHandshakeTimeout(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *memoryNet, ts *testServer) {
		ts.pipe(t, memoryHome, TLS).lasts(handshakeTimeout)
		c := ts.pipe(t, memoryHome, TLS)
		c.writeRaw([]byte{22, 3, 1, 2, 0, 1, 0, 1, 0xFC})
		c.lasts(handshakeTimeout)
		synctest.Wait()
		if n := testutil.ToFloat64(ts.drops[DropHandshake]); n != 2 {
			t.Errorf("%v handshakes failed", n)
		}
	})
}

// A client that stops reading loses packets and finally its stream. The server never blocks because of it.
func TestSlowReader(t *testing.T) {
	inBubble(t, func(t *testing.T, network *memoryNet, ts *testServer) {
		const packets, size = 2000, 1000
		peer := network.peer(memoryPeer)
		slow, fast := ts.pipe(t, memoryHome, TCP), ts.pipe(t, netip.AddrPortFrom(memoryHome.Addr(), 5001), TCP)
		relayed := slow.allocate(0)
		slow.must(slow.permit(memoryPeer), 0)
		quick := fast.allocate(0)
		fast.must(fast.bind(0x4000, memoryPeer), 0)
		start := time.Now()
		for i := range packets {
			peer.send(relayed, binary.BigEndian.AppendUint32(make([]byte, size-4, size), uint32(i)))
			if i == 0 {
				synctest.Wait() // the writer is blocked, so further messages are queued
			}
		}
		peer.send(quick, []byte("at once"))
		fast.wantChannel(0x4000, "at once")
		synctest.Wait()
		if d := time.Since(start); d != 0 {
			t.Errorf("the others waited for %v", d)
		}
		lost := testutil.ToFloat64(ts.drops[DropSlowClient])
		if lost == 0 || lost == packets {
			t.Fatalf("%v of %d packets lost", lost, packets)
		}
		// The client reads again, slowly. It gets whole messages in order, and only the dropped ones are missing.
		const writeTimeout = 10 * time.Second // of streamio
		last := -1
		for i := range packets - int(lost) {
			if i%32 == 0 {
				time.Sleep(writeTimeout - time.Second)
			}
			var m wire.Message
			if err := wire.Parse(slow.read(), &m); err != nil {
				t.Fatalf("packet %d: %v", i, err)
			}
			v, _ := m.Get(wire.AttrData)
			n := int(binary.BigEndian.Uint32(v[len(v)-4:]))
			if n <= last {
				t.Fatalf("packet %d after %d", n, last)
			}
			last = n
		}
		slow.wantNothing()
		for range packets {
			peer.send(relayed, make([]byte, size))
		}
		time.Sleep(writeTimeout + time.Second)
		synctest.Wait()
		if n := testutil.ToFloat64(ts.ended[EndClosed]); n != 1 || len(ts.Sessions()) != 1 {
			t.Errorf("%v sessions ended as closed, %d left", n, len(ts.Sessions()))
		}
	})
}

// A client without an allocation that sends requests and does not read the responses is disconnected before many are queued.
func TestStrangerDoesNotRead(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *memoryNet, ts *testServer) {
		c := ts.pipe(t, memoryHome, TCP)
		request := message(wire.Request, wire.Binding, nil)
		asked := 0
		for err := error(nil); err == nil; asked++ {
			_, err = c.conn.Write(request)
		}
		if most := 2*strangerQueue/wire.HeaderSize + 2; asked > most {
			t.Errorf("%d requests were taken, want %d at most", asked, most)
		}
		if n := testutil.ToFloat64(ts.drops[DropSlowClient]); n != 1 {
			t.Errorf("%v answers were dropped", n)
		}
	})
}

// Streams that have ended are not counted any more.
func TestManyStreamsComeAndGo(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *memoryNet, ts *testServer) {
		for range 1000 {
			near, far := net.Pipe()
			go near.Close()
			ts.ServeConn(far, memoryHome, TCP)
		}
		if ts.connections.Len() != 0 || len(ts.closers) != 0 { // there are no other clients
			t.Errorf("%d streams, %d closers left", ts.connections.Len(), len(ts.closers))
		}
	})
}
