package turnserver

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"icebox/turnserver/wire"
)

// conversation returns the messages that a client with channel 0x4000 to memoryPeer writes, the payloads that the peer gets, and the
// number of responses.
func (c *client) conversation() (b []byte, payloads []string, answers int) {
	for _, p := range []string{"", "a", "ab", "abc", "abcd", strings.Repeat("x", 1200)} {
		payloads = append(payloads, p)
		frame := make([]byte, wire.ChannelHeaderSize)
		wire.PutChannelHeader(frame, 0x4000, len(p))
		frame = append(frame, p...)
		b = append(b, append(frame, make([]byte, wire.Pad4(len(p))-len(p))...)...)
	}
	b = append(b, message(wire.Request, wire.Binding, nil)...)
	b = append(b, c.message(wire.Refresh, nil)...)
	b = append(b, message(wire.Indication, wire.Send, with(peers(memoryPeer), data("sent")))...)
	return b, append(payloads, "sent"), 2
}

// The server finds the same messages in a stream, no matter how TCP divides it into segments.
func TestStreamFraming(t *testing.T) {
	network := newMemoryNet()
	ts := serveInMemory(t, network, nil)
	peer := network.peer(memoryPeer)
	c := ts.pipe(t, memoryHome, TCP)
	c.allocate(0)
	c.must(c.bind(0x4000, memoryPeer), 0)
	talk := func(write func(b []byte)) {
		t.Helper()
		b, payloads, answers := c.conversation()
		read := make(chan struct{})
		go func() { // a pipe has no buffer, so the test must read while it writes
			defer close(read)
			for range answers {
				c.read()
			}
		}()
		write(b)
		<-read
		for _, want := range payloads {
			if d := <-peer.in; string(d.payload) != want {
				t.Fatalf("the peer got %q, want %q", d.payload, want)
			}
		}
	}
	all, _, _ := c.conversation()
	for at := 1; at < len(all); at++ {
		talk(func(b []byte) { c.writeRaw(b[:at]); c.writeRaw(b[at:]) })
	}
	talk(c.writeRaw)
	talk(func(b []byte) {
		for i := range b {
			c.writeRaw(b[i : i+1])
		}
	})
	for _, size := range []int{2, 3, 5, 7, 19, 64, 1000} {
		talk(func(b []byte) {
			for len(b) > 0 {
				n := min(size, len(b))
				c.writeRaw(b[:n])
				b = b[n:]
			}
		})
	}
	for _, d := range dropCounts(ts) {
		if d != 0 {
			t.Errorf("drops %v", dropCounts(ts))
		}
	}
}

// writeRaw writes bytes without framing them.
func (c *client) writeRaw(b []byte) {
	c.t.Helper()
	if _, err := c.conn.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// A stream that begins with something other than a message is closed at once. Others are not affected.
func TestStreamGarbage(t *testing.T) {
	ts := serve(t, relayApart)
	long := func(n int) []byte {
		return message(wire.Request, wire.Binding, attr(wire.AttrSoftware, make([]byte, n-24)...))
	}
	tests := map[string][]byte{
		"http":               []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"tls":                {0x16, 3, 1, 1, 0, 1, 0, 0, 0xFC, 3, 3},
		"ssh":                []byte("SSH-2.0-OpenSSH_9.2\r\n"),
		"no cookie":          make([]byte, 20),
		"length not by four": {0, 1, 0, 3, 0x21, 0x12, 0xA4, 0x42},
		"channel 0x8000":     {0x80, 0, 0, 4, 1, 2, 3, 4},
		"rtp":                {0x80, 0x60, 0, 1, 0, 0, 0, 1},
		"longer than allowed without an allocation": long(strangerFrame + 4),
		"channel data of 60 KiB":                    {0x40, 0, 0xF0, 0x00},
	}
	for name, b := range tests {
		for _, transport := range []string{"tcp4", "tls4"} {
			t.Run(name+" over "+transport, func(t *testing.T) {
				good, bad, behind := ts.dial(t, transport), ts.dial(t, transport), ts.dial(t, transport)
				good.login()
				ts.awaitDrop(t, DropMalformed, func() { bad.writeRaw(b) })
				bad.wantClosed()
				behind.login() // the garbage is in one piece with a well-formed message
				ts.awaitDrop(t, DropMalformed, func() { behind.writeRaw(append(message(wire.Indication, wire.Binding, nil), b...)) })
				behind.wantClosed()
				good.must(good.do(wire.Allocate, udpTransport), 0)
				ts.End(func(*SessionInfo) bool { return true })
			})
		}
	}
	stranger := ts.dial(t, "tcp4")
	stranger.exchange(long(strangerFrame)) // the longest
	c := ts.dial(t, "tcp4")
	c.allocate(0)
	c.exchange(long(wire.HeaderSize + 65532))
	c.wantNothing()
}

// Garbage on the stream of a client with an allocation ends its session, and the reason is counted.
func TestStreamGarbageEndsTheSession(t *testing.T) {
	ts := serve(t, relayApart)
	for i, transport := range []string{"tcp4", "tls6"} {
		c := ts.dial(t, transport)
		c.allocate(0)
		c.writeRaw([]byte("\xFFgarbage"))
		c.wantClosed()
		ts.awaitNoSession(t)
		ts.awaitClosed(t, i+1)
	}
}

// awaitNoSession waits until the last session has ended.
func (ts *testServer) awaitNoSession(t testing.TB) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); len(ts.Sessions()) > 0; <-tick.C {
		if time.Now().After(end) {
			t.Fatal("a session stays")
		}
	}
}

// awaitClosed waits until n sessions have been counted as ended because their streams closed. The server counts a session
// just after it has removed it.
func (ts *testServer) awaitClosed(t testing.TB, n int) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); testutil.ToFloat64(ts.ended[EndClosed]) != float64(n); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("%v sessions ended as closed, want %d", testutil.ToFloat64(ts.ended[EndClosed]), n)
		}
	}
}

// A session ends when its stream ends, no matter for what reason.
func TestStreamEndsSession(t *testing.T) {
	ts := serve(t, relayApart)
	for i, transport := range []string{"tcp4", "tls4", "dtls4"} {
		t.Run(transport, func(t *testing.T) {
			c := ts.dial(t, transport)
			c.allocate(0)
			c.conn.Close()
			ts.awaitNoSession(t)
			ts.awaitClosed(t, i+1)
		})
	}
	reset := ts.dial(t, "tcp4")
	reset.allocate(0)
	if err := reset.conn.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	reset.conn.Close()
	ts.awaitNoSession(t)
}

// A client that sends its last requests and closes its sending side still gets the responses.
func TestAnswersToHalfClosedStream(t *testing.T) {
	const requests = 100
	ts := serve(t, relayApart)
	for _, transport := range []string{"tcp4", "tls4"} {
		c := ts.dial(t, transport)
		c.writeRaw(bytes.Repeat(message(wire.Request, wire.Binding, nil), requests))
		if err := c.conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		for i := range requests {
			if _, err := c.tryRead(); err != nil {
				t.Fatalf("%s: %d answers, then %v", transport, i, err)
			}
		}
		c.wantClosed()
	}
}

// Connections are limited for each address (a /64 in IPv6) and in total. Those that end make room.
func TestStreamCaps(t *testing.T) {
	ts := serveInMemory(t, newMemoryNet(), func(_ *Options, l *Limits) { l.StreamsPerAddr, l.StreamsTotal = 2, 4 })
	dial := func(ip string) *client { return ts.pipe(t, netip.AddrPortFrom(netip.MustParseAddr(ip), 5000), TCP) }
	a := dial("198.51.100.1")
	a.allocate(0)
	dial("198.51.100.1").allocate(0)
	dial("198.51.100.1").wantClosed()
	dial("::ffff:198.51.100.1").wantClosed() // the same address
	dial("2001:db8:1:2::1").allocate(0)
	dial("2001:db8:1:2:ffff::2").allocate(0)
	dial("2001:db8:1:2::3").wantClosed()
	dial("198.51.100.2").wantClosed() // above the total
	if n := testutil.ToFloat64(ts.drops[DropConnections]); n != 4 {
		t.Errorf("%v connections refused", n)
	}
	a.conn.Close()
	ts.awaitStreams(t, 3)
	isServed(dial("198.51.100.2"))
}

// When clients without allocations have all connections, a new connection replaces one of theirs, and never that of a client with an
// allocation.
func TestStrangersAreReplaced(t *testing.T) {
	const total = 10
	ts := serveInMemory(t, newMemoryNet(), func(_ *Options, l *Limits) { l.StreamsPerAddr, l.StreamsTotal = total, total })
	dial := func(ip string) *client { return ts.pipe(t, netip.AddrPortFrom(netip.MustParseAddr(ip), 5000), TCP) }
	served := dial("198.51.100.1")
	served.allocate(0)
	for range total - 1 {
		isServed(dial("203.0.113.1"))
	}
	for i := range 3 {
		dial("198.51.100.2").allocate(0)
		if n := testutil.ToFloat64(ts.drops[DropConnections]); int(n) != i+1 {
			t.Errorf("%v connections were ended for %d new ones", n, i+1)
		}
		ts.awaitStreams(t, total)
	}
	served.must(served.do(wire.Refresh, nil), 0)
	// A connection whose allocation was released can be replaced again.
	served.must(served.do(wire.Refresh, func(b *wire.Builder) { b.Lifetime(0) }), 0)
	for range total - 3 {
		dial("198.51.100.3").allocate(0)
	}
	served.wantClosed()
	dial("198.51.100.4").wantClosed()
}

// isServed asserts that the server responds to c.
func isServed(c *client) *client {
	c.t.Helper()
	c.login()
	return c
}

func (ts *testServer) awaitStreams(t testing.TB, n int) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; <-tick.C {
		total := ts.connections.Len()
		if total == n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d streams, want %d", total, n)
		}
	}
}
