package turnserver

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"icebox/turnserver/wire"
)

// When Close returns, every session, connection, socket and goroutine has ended.
func TestCloseEndsEverything(t *testing.T) {
	unrelated := goleak.IgnoreCurrent()
	ts := serve(t, relayApart)
	p := newPeer(t, loopback4)
	clients := make(map[string]*client)
	for _, transport := range everyTransport() {
		if transport == "dtls4" || transport == "dtls6" {
			continue // the client's TLS library has goroutines of its own
		}
		c := ts.dial(t, transport)
		c.allocate(0)
		c.must(c.bind(0x4000, p.addr), 0)
		clients[transport] = c
		clients["idle "+transport] = ts.dial(t, transport)
	}
	silent, err := net.Dial("tcp", ts.addrs["tls4"].String()) // never starts its handshake
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if err := ts.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	goleak.VerifyNone(t, unrelated)
	if n := len(ts.Sessions()); n != 0 || testutil.ToFloat64(ts.ended[EndShutdown]) != 6 {
		t.Errorf("%d sessions left, %v ended", n, testutil.ToFloat64(ts.ended[EndShutdown]))
	}
	for _, c := range clients {
		if c.stream {
			c.wantClosed()
		}
	}
	if err := ts.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// A socket, listener or connection that is passed to the server after Close is closed at once.
func TestAfterClose(t *testing.T) {
	ts := serve(t, relayApart)
	if err := ts.Close(); err != nil {
		t.Fatal(err)
	}
	udp, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback4, 0)))
	if err != nil {
		t.Fatal(err)
	}
	if err := ts.AddUDP(udp, UDPOptions{}); !errors.Is(err, ErrClosed) {
		t.Errorf("AddUDP: %v", err)
	}
	if _, err := udp.Write(nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the socket is open: %v", err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := ts.AddListener(l, TCP); !errors.Is(err, ErrClosed) {
		t.Errorf("AddListener: %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is open: %v", err)
	}
	c := ts.pipe(t, memoryHome, TCP)
	c.wantClosed()
}

// A socket or listener that the server cannot serve is refused and closed.
func TestAddRefuses(t *testing.T) {
	ts := serve(t, func(o *Options, l *Limits) { relayApart(o, l) })
	wildcard, err := net.ListenUDP("udp4", &net.UDPAddr{})
	if err != nil {
		t.Fatal(err)
	}
	if err := ts.AddUDP(wildcard, UDPOptions{}); err == nil {
		t.Error("a wildcard socket is served")
	}
	if _, err := wildcard.Write(nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the socket is open: %v", err)
	}
	for _, transport := range []Transport{UDP, DTLS} {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if err := ts.AddListener(l, transport); err == nil {
			t.Errorf("a listener for %v is served", transport)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the listener is open: %v", err)
		}
	}
}

// Clients that do not read delay Close together, not one after the other.
func TestCloseIsNotHeldUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cert := testCertificate(t)
		ts := serveInMemory(t, newMemoryNet(), func(o *Options, _ *Limits) {
			o.GetCertificate = func() (*tls.Certificate, error) { return cert, nil }
		})
		for range 20 {
			c := ts.pipe(t, memoryHome, TLS)
			c.conn = tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a certificate of the test's own
			c.login()
		}
		before := time.Now()
		if err := ts.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if d := time.Since(before); d > 6*time.Second {
			t.Errorf("Close took %v", d)
		}
	})
}

// The counters of relayed traffic never decrease, even while a session is ending.
func TestSumsNeverShrink(t *testing.T) {
	ts := serveInMemory(t, newMemoryNet(), nil)
	c := ts.link(t, memoryHome)
	c.allocate(0)
	c.must(c.bind(0x4000, memoryPeer), 0)
	c.sendOn(0x4000, "twelve bytes")
	sums := func() string { return gathered(t, (*traffic)(&ts.metrics), "icebox_turn_relayed_bytes_total") }
	before := sums()
	ts.mu.Lock()
	living := ts.sessions
	ts.sessions = make(map[uint64]*session) // as between two steps of finish
	ts.mu.Unlock()
	if got := sums(); got != before {
		t.Errorf("before:\n%sin between:\n%s", before, got)
	}
	ts.mu.Lock()
	ts.sessions = living
	ts.mu.Unlock()
	c.must(c.do(wire.Refresh, attr(wire.AttrLifetime, 0, 0, 0, 0)), 0)
	if got := sums(); got != before {
		t.Errorf("before:\n%safter:\n%s", before, got)
	}
}

// gathered returns the metrics of one name as text.
func gathered(t testing.TB, c prometheus.Collector, name string) string {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	if err := r.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				fmt.Fprintln(&text, m.GetLabel(), m.GetCounter().GetValue())
			}
		}
	}
	return text.String()
}
