package turnserver

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"icebox/turnserver/credential"
	"icebox/turnserver/packetio"
	"icebox/turnserver/wire"
)

// Every series exists with 0 from the start, and no label has a value for each user.
func TestMetricsStartAtZero(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	serve(t, func(o *Options, l *Limits) { relayApart(o, l); o.Registerer = registry })
	want := map[string]int{
		"icebox_turn_requests_total": 5, "icebox_turn_error_responses_total": len(wire.Codes()), "icebox_turn_dropped_total": int(dropReasons),
		"icebox_turn_sessions_started_total": 4, "icebox_turn_sessions_ended_total": len(EndReasons()), "icebox_turn_sessions": 4,
		"icebox_turn_relayed_packets_total": 8, "icebox_turn_relayed_bytes_total": 8,
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if n, ok := want[f.GetName()]; !ok || n != len(f.GetMetric()) {
			t.Errorf("%s has %d series, want %d", f.GetName(), len(f.GetMetric()), n)
		}
		delete(want, f.GetName())
		for _, m := range f.GetMetric() {
			if m.GetCounter().GetValue() != 0 || m.GetGauge().GetValue() != 0 {
				t.Errorf("%s does not start at 0: %v", f.GetName(), m)
			}
		}
	}
	if len(want) != 0 {
		t.Errorf("missing: %v", want)
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) != 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
	if s, err := New(Options{Realm: testRealm, RelayAddrs: []RelayAddr{{own4, own4}}, Registerer: registry}, testLimits(t)); err == nil {
		s.Close()
		t.Error("two servers share a registry")
	}
}

// syncBuffer is a log that the test can read.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// The end of a session is one log line with its totals, a challenge is none, and no line contains a secret.
func TestLog(t *testing.T) {
	minted, err := credential.NewMinter([]byte("own")).Mint("ann", time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var log syncBuffer
	ts := serve(t, func(o *Options, l *Limits) {
		relayApart(o, l)
		*l = sharing(t, "shared")
		o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	c, p := ts.dial(t, "tcp4"), newPeer(t, loopback4)
	c.login()
	c.password = "wrong"
	c.must(c.do(wire.Allocate, udpTransport), wire.Unauthorized)
	if log.String() != "" {
		t.Errorf("challenges are logged: %s", log.String())
	}
	c.user, c.password = minted.Username, minted.Password
	c.must(c.do(wire.Allocate, udpTransport), 0)
	relayed := ts.Sessions()[0].Relayed[0]
	c.must(c.permit(forbidden4), wire.Forbidden)
	c.must(c.permit(forbidden4), wire.Forbidden)
	c.must(c.permit(p.addr), 0)
	c.sendTo(p.addr, "hello")
	p.want(relayed, "hello")
	p.send(relayed, "hi")
	c.wantData(p.addr, "hi")
	id := ts.Sessions()[0].ID
	if ts.End(withID(id)) != 1 || ts.End(withID(id)) != 0 {
		t.Error("End")
	}
	text := log.String()
	for _, want := range []string{
		`msg="session ended"`, "user=ann", "credential=" + minted.ID, "transport=tcp", "client=127.0.0.1:", "relayed=[" + relayed.String() + "]", "reason=killed",
		"to_peer_packets=1", "to_peer_bytes=5", "from_peer_packets=1", "from_peer_bytes=2", `msg="peer denied"`, "peer=169.254.169.254:0", "link-local",
	} {
		if strings.Count(text, want) != 1 {
			t.Errorf("%q is %d times in the log", want, strings.Count(text, want))
		}
	}
	for _, secret := range []string{minted.Password, c.nonce, hex.EncodeToString(c.key()), base64.StdEncoding.EncodeToString(c.key()), string(c.key()), "shared", testPass} {
		if strings.Contains(text, secret) {
			t.Errorf("the log has %q", secret)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// Over UDP, replies to clients that have not proved their address are limited for each address. A client that returns a nonce has proved
// it and is not limited.
func TestReplyRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perSecond, burst = 50, 500 // the defaults
		ts := serveInMemory(t, newMemoryNet(), nil)
		victim := netip.MustParseAddrPort("198.51.100.1:5000")
		answers := 0
		path := newMemoryPath(ts.Server, func(netip.AddrPort, []byte) { answers++ })
		flood := func(n int, remote netip.AddrPort, b []byte) int {
			answers = 0
			for range n {
				l := &memoryLink{path: path, remote: remote, packet: packetio.NewPacket(64)}
				if _, err := l.Write(b); err != nil {
					t.Fatal(err)
				}
			}
			return answers
		}
		binding, allocate := message(wire.Request, wire.Binding, nil), message(wire.Request, wire.Allocate, nil)
		if n := flood(1000, victim, binding); n != burst {
			t.Errorf("%d answers at once", n)
		}
		if n := flood(1000, netip.AddrPortFrom(victim.Addr(), 9), allocate); n != 0 {
			t.Errorf("%d challenges to another port", n)
		}
		if n := testutil.ToFloat64(ts.drops[DropReplyRate]); n != 1500 {
			t.Errorf("%v dropped", n)
		}
		if n := flood(1, netip.MustParseAddrPort("198.51.100.2:5000"), binding); n != 0 {
			t.Error("a neighbour in the same /24 is not limited")
		}
		if n := flood(1, netip.MustParseAddrPort("198.51.101.1:5000"), binding); n != 1 {
			t.Error("another /24 is limited too")
		}
		c := ts.pipe(t, victim, TCP)
		c.login() // over TCP
		honest := ts.link(t, victim)
		honest.nonce = c.nonce
		honest.must(honest.do(wire.Allocate, udpTransport), 0)
		time.Sleep(time.Second)
		if n := flood(1000, victim, allocate); n != perSecond {
			t.Errorf("%d answers a second later", n)
		}
		l := testLimits(t)
		l.AlternateServers = []netip.AddrPort{netip.MustParseAddrPort("203.0.113.9:3478")}
		if err := ts.SetLimits(l); err != nil {
			t.Fatal(err)
		}
		ts.startDrain(t)
		time.Sleep(time.Second)
		if n := flood(1000, victim, allocate); n != perSecond {
			t.Errorf("%d answers of a draining server", n)
		}
		six := func(i int) netip.AddrPort {
			a := netip.MustParseAddr("2001:db8:1:2::").As16()
			a[14], a[15] = byte(i>>8), byte(i)
			return netip.AddrPortFrom(netip.AddrFrom16(a), 5000)
		}
		total := 0
		for i := range 1000 {
			total += flood(1, six(i), binding)
		}
		if total != burst {
			t.Errorf("%d answers to one /64", total)
		}
	})
}
