package turnserver

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"icebox/turnserver/dtlsgate"
	"icebox/turnserver/packetio"
	"icebox/turnserver/wire"
)

// memoryUDP serves UDP and DTLS at memoryServer.
func (ts *testServer) memoryUDP(t testing.TB, network *memoryNet) *udpPath {
	t.Helper()
	u := &udpPath{server: ts.Server, sessions: make(map[netip.AddrPort]*session)}
	conn := network.serve(memoryServer, datagramSize, u)
	u.conn, u.dtls = conn, newDTLSPaths(ts.Server, conn)
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if err := errors.Join(ts.track(conn), conn.Start()); err != nil {
		t.Fatal(err)
	}
	return u
}

func (d *dtlsPaths) count() int {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return len(d.paths)
}

// dtlsConn returns a client's DTLS socket on network, which is closed with the test.
func dtlsConn(t testing.TB, network *memoryNet, remote netip.AddrPort) *dtlsgate.PacketConn {
	t.Helper()
	var conn packetio.Socket
	w := dtlsgate.NewPacketConn(remote, memoryServer, func(b []byte) {
		conn.Send(&packetio.Packet{Addr: memoryServer, Buf: b, End: len(b)})
	})
	conn = network.serve(remote, datagramSize, deliverTo{w})
	if err := conn.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return w
}

// deliverTo is the packetio.Receiver of a client's PacketConn.
type deliverTo struct{ conn *dtlsgate.PacketConn }

func (d deliverTo) Receive(p *packetio.Packet) { d.conn.Deliver(p.Payload()) }
func (d deliverTo) Oversized()                 {}
func (d deliverTo) Lost(int)                   {}
func (d deliverTo) Closed()                    {}

// dialMemoryDTLS connects a DTLS client at remote.
func dialMemoryDTLS(t testing.TB, network *memoryNet, remote netip.AddrPort) *client {
	t.Helper()
	w := dtlsConn(t, network, remote)
	conn, err := dtls.ClientWithOptions(w, net.UDPAddrFromAddrPort(memoryServer), dtls.WithInsecureSkipVerify(true))
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		w.Close()
	})
	return &client{t: t, conn: conn, user: testUser, password: testPass}
}

// clientHelloOf returns the first datagram of a DTLS client.
func clientHelloOf(t testing.TB) []byte {
	t.Helper()
	network := newMemoryNet()
	server := network.peer(memoryServer)
	w := dtlsConn(t, network, memoryHome)
	conn, err := dtls.ClientWithOptions(w, net.UDPAddrFromAddrPort(memoryServer), dtls.WithInsecureSkipVerify(true))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = conn.Handshake() // gets no response
	}()
	hello := <-server.in
	conn.Close()
	w.Close()
	<-done
	return hello.payload
}

func home(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), 5000)
}

// DTLS datagrams that belong to no connection are dropped, unless they begin a handshake.
func TestDTLSWithoutConnection(t *testing.T) {
	inBubble(t, func(t *testing.T, network *memoryNet, ts *testServer) {
		u := ts.memoryUDP(t, network)
		w := dtlsConn(t, network, memoryHome)
		for name, b := range map[string][]byte{
			"application data": {23, 0xFE, 0xFD, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0xFF},
			"alert":            {21, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0},
			"ServerHello":      {22, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2},
			"short record":     {22, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
			"one byte":         {63},
		} {
			before := testutil.ToFloat64(ts.drops[DropMalformed])
			if _, err := w.WriteTo(b, nil); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if testutil.ToFloat64(ts.drops[DropMalformed]) != before+1 || u.dtls.count() != 0 {
				t.Errorf("%s: %d connections", name, u.dtls.count())
			}
		}
	})
}

// halfOpen returns the number of running handshakes.
func (d *dtlsPaths) halfOpen() int {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return len(d.half)
}

// The server limits the number of handshakes that stop after the cookie. When another one starts, it ends a random one
// of those, and never a connection whose handshake is done.
func TestDTLSHalfOpen(t *testing.T) {
	inBubble(t, func(t *testing.T, network *memoryNet, ts *testServer) {
		const tooMany = 88
		u := ts.memoryUDP(t, network)
		live := dialMemoryDTLS(t, network, memoryHome)
		live.allocate(0)
		hello := clientHelloOf(t)
		for i := range dtlsHalf + tooMany {
			sendOnce(network, home(i), ts.answered(t, hello, home(i)))
			synctest.Wait()
		}
		if out := testutil.ToFloat64(ts.drops[DropHandshake]); out != tooMany || u.dtls.halfOpen() != dtlsHalf {
			t.Errorf("%v pushed out, %d half open", out, u.dtls.halfOpen())
		}
		live.must(live.do(wire.Refresh, nil), 0)
		time.Sleep(handshakeTimeout + time.Second)
		synctest.Wait()
		if n := testutil.ToFloat64(ts.drops[DropHandshake]); n != dtlsHalf+tooMany || u.dtls.halfOpen() != 0 || u.dtls.count() != 1 || ts.connections.Len() != 1 {
			t.Errorf("%v handshakes failed, %d half open, %d connections, %d counted", n, u.dtls.halfOpen(), u.dtls.count(), ts.connections.Len())
		}
		dialMemoryDTLS(t, network, netip.AddrPortFrom(memoryHome.Addr(), 5001)).allocate(0)
	})
}

// answered returns the second ClientHello of a client at from, with the cookie that the server sent.
func (ts *testServer) answered(t testing.TB, hello []byte, from netip.AddrPort) []byte {
	t.Helper()
	h, ok := dtlsgate.Parse(hello)
	if !ok {
		t.Fatal("not a ClientHello")
	}
	challenge := ts.gate.Challenge(h, from, time.Now())
	cookie := challenge[len(challenge)-dtlsgate.CookieSize:]
	const message, body = 13, 13 + 12 // the ends of the record header and the message header
	at := body + 2 + 32 + 1 + int(hello[body+34])
	b := append([]byte(nil), hello[:at]...)
	b = append(append(append(b, dtlsgate.CookieSize), cookie...), hello[at+1:]...)
	b[10], b[message+5] = 1, 1           // the numbers of the second record and the second message
	b[message-1] += dtlsgate.CookieSize  // the length of the record
	b[message+3] += dtlsgate.CookieSize  // the length of the message
	b[message+11] += dtlsgate.CookieSize // the length of the fragment
	return b
}

// sendOnce sends one datagram from an address that reads no responses.
func sendOnce(network *memoryNet, from netip.AddrPort, b []byte) {
	(&memoryConn{net: network, addr: from}).send(memoryServer, b)
}

// A handshake that turns into garbage ends, and others are not affected.
func TestDTLSGarbage(t *testing.T) {
	inBubble(t, func(t *testing.T, network *memoryNet, ts *testServer) {
		u := ts.memoryUDP(t, network)
		live := dialMemoryDTLS(t, network, memoryHome)
		live.allocate(0)
		hello := clientHelloOf(t)
		for i := range len(hello) {
			cut, bent := hello[:i], append([]byte(nil), hello...)
			bent[i] ^= 0xFF
			sendOnce(network, home(2*i), cut)
			sendOnce(network, home(2*i+1), bent)
			sendOnce(network, home(2*i+1), cut)
		}
		synctest.Wait()
		// The same from the address of a client that has a connection, as far as that is still a handshake.
		before, sent := testutil.ToFloat64(ts.drops[DropMalformed]), 0.0
		const fragment = 13 + 9 // where a ClientHello says which part of it follows
		for i := range len(hello) {
			bent := append([]byte(nil), hello...)
			if sendOnce(network, memoryHome, hello[:i]); i >= fragment && i < fragment+3 {
				bent[i] ^= 0xFF
				sendOnce(network, memoryHome, bent)
				sent++
			}
			sent++
		}
		synctest.Wait()
		if n := testutil.ToFloat64(ts.drops[DropMalformed]) - before; n != sent {
			t.Errorf("%v of %v datagrams from the client's address were dropped", n, sent)
		}
		live.must(live.do(wire.Refresh, nil), 0)
		time.Sleep(handshakeTimeout + time.Second)
		synctest.Wait()
		if n := u.dtls.count(); n != 1 || u.dtls.halfOpen() != 0 {
			t.Errorf("%d connections, %d half open", n, u.dtls.halfOpen())
		}
		live.must(live.do(wire.Refresh, nil), 0)
	})
}

// DTLS clients have the same deadlines as clients of streams.
func TestDTLSIdle(t *testing.T) {
	inBubble(t, func(t *testing.T, network *memoryNet, ts *testServer) {
		u := ts.memoryUDP(t, network)
		gone := func(after time.Duration) {
			t.Helper()
			time.Sleep(after - time.Second)
			synctest.Wait()
			if u.dtls.count() != 1 {
				t.Errorf("gone before %v", after)
			}
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if u.dtls.count() != 0 || ts.connections.Len() != 0 {
				t.Errorf("still there after %v", after)
			}
		}
		dialMemoryDTLS(t, network, home(1)).login()
		gone(idleTimeout)
		c := dialMemoryDTLS(t, network, home(2))
		c.allocate(0)
		gone(defaultLifetime + idleTimeout)
		if testutil.ToFloat64(ts.ended[EndExpired]) != 1 {
			t.Error("the session did not expire")
		}
		c = dialMemoryDTLS(t, network, home(3))
		c.allocate(0)
		c.must(c.do(wire.Refresh, attr(wire.AttrLifetime, 0, 0, 0, 0)), 0)
		gone(idleTimeout)
	})
}

// DTLS connections count against the limits on streams.
func TestDTLSCaps(t *testing.T) {
	inBubble(t, func(t *testing.T, network *memoryNet, ts *testServer) {
		u := ts.memoryUDP(t, network)
		limits := testLimits(t)
		limits.StreamsPerAddr = 2
		if err := ts.SetLimits(limits); err != nil {
			t.Fatal(err)
		}
		hello := clientHelloOf(t)
		for port := range uint16(5) {
			from := netip.AddrPortFrom(memoryHome.Addr(), 6000+port)
			sendOnce(network, from, ts.answered(t, hello, from))
		}
		synctest.Wait()
		if n := testutil.ToFloat64(ts.drops[DropConnections]); n != 3 || u.dtls.count() != 2 {
			t.Errorf("%v refused, %d connections", n, u.dtls.count())
		}
	})
}
