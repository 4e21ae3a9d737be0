package generator

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"icebox/cmd/iceload/sockets"
	"icebox/cmd/iceload/turnclient"
	"icebox/turnserver"
	"icebox/turnserver/credential"
	"icebox/turnserver/peer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	loopback = netip.MustParseAddr("127.0.0.1")
	account  = turnclient.Account{Username: "alice", Password: "right"}
)

// server is a TURN server in this process.
type server struct {
	addrs    map[sockets.Transport]netip.AddrPort
	registry *prometheus.Registry
}

func serve(t *testing.T, edit func(*turnserver.Limits)) *server {
	t.Helper()
	verifier, err := credential.NewVerifier(credential.VerifierOptions{
		Realm: "test", Users: []credential.User{{Name: account.Username, Password: account.Password}},
	})
	if err != nil {
		t.Fatal(err)
	}
	limits := turnserver.Limits{
		Credentials: verifier,
		Peers:       []peer.Rule{{Prefix: netip.MustParsePrefix("127.0.0.0/8"), Allow: true}},
	}
	if edit != nil {
		edit(&limits)
	}
	certificate := newCertificate(t)
	s := &server{make(map[sockets.Transport]netip.AddrPort), prometheus.NewRegistry()}
	turn, err := turnserver.New(turnserver.Options{
		Realm:          "test",
		RelayAddrs:     []turnserver.RelayAddr{{Local: loopback, Advertised: loopback}},
		GetCertificate: func() (*tls.Certificate, error) { return certificate, nil },
		Registerer:     s.registry,
	}, limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := turn.Close(); err != nil {
			t.Error(err)
		}
	})
	s.listen(t, turn)
	return s
}

func (s *server) listen(t *testing.T, turn *turnserver.Server) {
	t.Helper()
	u, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		t.Fatal(err)
	}
	s.addrs[sockets.UDP] = u.LocalAddr().(*net.UDPAddr).AddrPort()
	s.addrs[sockets.DTLS] = s.addrs[sockets.UDP]
	if err := turn.AddUDP(u, turnserver.UDPOptions{DTLS: true}); err != nil {
		t.Fatal(err)
	}
	for transport, over := range map[sockets.Transport]turnserver.Transport{sockets.TCP: turnserver.TCP, sockets.TLS: turnserver.TLS} {
		l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
		if err != nil {
			t.Fatal(err)
		}
		s.addrs[transport] = l.Addr().(*net.TCPAddr).AddrPort()
		if err := turn.AddListener(l, over); err != nil {
			t.Fatal(err)
		}
	}
}

// counter returns the sum over the series of a metric that have a label with the given value.
func (s *server) counter(t *testing.T, name, value string) float64 {
	t.Helper()
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetValue() == value {
					sum += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}

func newCertificate(t *testing.T) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// options returns a small load for s.
func (s *server) options(transport sockets.Transport) Options {
	return Options{
		Server:    s.addrs[transport],
		Transport: transport,
		TLS:       &tls.Config{InsecureSkipVerify: true},
		Account:   func(int) turnclient.Account { return account },

		Allocations: 4, Workers: 1, Window: 4,
		PeerAddress: netip.MustParseAddr("127.0.0.2"), Peers: 1,
		Rate: 2000, Size: 101, Burst: 1, Direction: Both,
		Tick: 500 * time.Microsecond,
	}
}

// run sets up a load, runs traffic for d, and tears the load down.
func run(t *testing.T, o Options, d time.Duration) *TrafficResult {
	t.Helper()
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	setUp, err := l.SetUp(t.Context(), o.Allocations)
	if err != nil {
		t.Fatal(err)
	}
	if setUp.Made != o.Allocations || setUp.Times[turnclient.Allocate].Count() != uint64(o.Allocations) {
		t.Errorf("%d allocations were set up, want %d", setUp.Made, o.Allocations)
	}
	traffic, err := l.RunTraffic(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if sent, received := l.Progress(); sent != traffic.Sent() || received != traffic.Received() {
		t.Errorf("Progress returned %d sent, %d received; the result has %d, %d", sent, received, traffic.Sent(), traffic.Received())
	}
	if err := l.TearDown(t.Context()); err != nil {
		t.Error(err)
	}
	return traffic
}

func TestTraffic(t *testing.T) {
	cases := map[string]struct {
		transport sockets.Transport
		edit      func(*Options)
		one       int // the only direction that is used, or -1 for both
	}{
		"udp":              {sockets.UDP, nil, -1},
		"udp, up":          {sockets.UDP, func(o *Options) { o.Direction = Up }, up},
		"udp, down":        {sockets.UDP, func(o *Options) { o.Direction = Down }, down},
		"udp, own sockets": {sockets.UDP, func(o *Options) { o.OwnSockets, o.Peers = true, 4 }, -1},
		"udp, indications": {sockets.UDP, func(o *Options) { o.Indications = true }, -1},
		"udp, segments":    {sockets.UDP, func(o *Options) { o.Burst, o.Segment, o.Coalesce = 5, true, true }, -1},
		"udp, both":        {sockets.UDP, func(o *Options) { o.Burst, o.Segment, o.Indications = 3, true, true }, -1},
		"udp, workers":     {sockets.UDP, func(o *Options) { o.Workers, o.Peers = 2, 2 }, -1},
		"tcp":              {sockets.TCP, nil, -1},
		"tcp, indications": {sockets.TCP, func(o *Options) { o.Indications = true }, -1},
		"tls":              {sockets.TLS, nil, -1},
		"dtls":             {sockets.DTLS, nil, -1},
	}
	s := serve(t, nil)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o := s.options(c.transport)
			if c.edit != nil {
				c.edit(&o)
			}
			traffic := run(t, o, 150*time.Millisecond)
			checkComplete(t, traffic)
			for dir, f := range traffic.Flows {
				if used := c.one < 0 || c.one == dir; used != (f.Sent > 0) {
					t.Errorf("direction %d: %d packets", dir, f.Sent)
				}
			}
		})
	}
}

// checkComplete checks that every packet was relayed.
func checkComplete(t *testing.T, traffic *TrafficResult) {
	t.Helper()
	if traffic.Sent() == 0 || traffic.Received() != traffic.Sent() || traffic.Anomalies != (Anomalies{}) || traffic.Refused+traffic.Unsent > 0 {
		t.Errorf("%d sent, %d received, anomalies %+v, %d refused (%v), %d unsent",
			traffic.Sent(), traffic.Received(), traffic.Anomalies, traffic.Refused, traffic.RefusedFor, traffic.Unsent)
	}
	var timed uint64
	for dir, h := range traffic.Latency {
		timed += h.Count()
		if traffic.Flows[dir].Received > 0 && (h.Quantile(0.5) <= 0 || h.Max() > 5*time.Second) {
			t.Errorf("direction %d: median latency %v, maximum %v", dir, h.Quantile(0.5), h.Max())
		}
	}
	if timed != traffic.Received() {
		t.Errorf("%d packets have a latency, but %d were received", timed, traffic.Received())
	}
}

// The generator must miss exactly the packets that the server says it dropped. All packets fit into a socket's buffer,
// so a delay of the server loses none.
func TestLossEqualsWhatTheServerDropped(t *testing.T) {
	s := serve(t, func(l *turnserver.Limits) { l.BandwidthPerAllocation = 2000 })
	o := s.options(sockets.UDP)
	o.Rate, o.Size = 800, 200
	traffic := run(t, o, 250*time.Millisecond)
	lost := traffic.Sent() - traffic.Received()
	if dropped := s.counter(t, "icebox_turn_dropped_total", "bandwidth"); lost == 0 || float64(lost) != dropped {
		t.Errorf("%d of %d packets lost, the server dropped %v", lost, traffic.Sent(), dropped)
	}
}

func TestPaceIsKept(t *testing.T) {
	s := serve(t, nil)
	o := s.options(sockets.UDP)
	o.Rate, o.Burst = 8000, 4
	traffic := run(t, o, 250*time.Millisecond)
	if got := traffic.Sent() + traffic.Skipped; got < 1990 || got > 2010 {
		t.Errorf("%d packets sent and %d skipped, want 2000 in total", traffic.Sent(), traffic.Skipped)
	}
	if traffic.Lateness.Count() == 0 || traffic.Wakeups == 0 || traffic.Wakeups > 1000 {
		t.Errorf("%d sends, %d wake-ups with a tick of %v", traffic.Lateness.Count(), traffic.Wakeups, o.Tick)
	}
}

func TestSetUpReportsRefusals(t *testing.T) {
	s := serve(t, func(l *turnserver.Limits) { l.AllocationsPerUser = 3 })
	o := s.options(sockets.UDP)
	o.Allocations = 5
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	setUp, err := l.SetUp(t.Context(), 5)
	if err == nil || !strings.Contains(err.Error(), "486") || setUp.Made != 3 || setUp.Failures[0].Count != 2 {
		t.Errorf("set-up: %v, %+v", err, setUp)
	}
	if err := errors.Join(l.TearDown(t.Context()), l.Close()); err != nil {
		t.Error(err)
	}
}

func TestSetUpInSteps(t *testing.T) {
	s := serve(t, nil)
	o := s.options(sockets.UDP)
	o.Allocations, o.Workers = 9, 2
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{2, 7, 7, 9} {
		if setUp, err := l.SetUp(t.Context(), n); err != nil || setUp.Made != n {
			t.Errorf("%d allocations, want %d: %v", setUp.Made, n, err)
		}
	}
	if err := errors.Join(l.TearDown(t.Context()), l.Close()); err != nil {
		t.Error(err)
	}
}

func TestInterruptEndsTraffic(t *testing.T) {
	s := serve(t, nil)
	o := s.options(sockets.UDP)
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.SetUp(t.Context(), o.Allocations); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	traffic, err := l.RunTraffic(ctx, time.Hour)
	if err != nil || traffic.Elapsed > time.Minute {
		t.Errorf("interrupted traffic took %v: %v", traffic.Elapsed, err)
	}
	if err := errors.Join(l.TearDown(ctx), l.Close()); err != nil {
		t.Errorf("tear-down after the interrupt: %v", err)
	}
}

func TestChurn(t *testing.T) {
	s := serve(t, nil)
	for _, c := range []struct {
		transport sockets.Transport
		own       bool
	}{{sockets.UDP, false}, {sockets.UDP, true}, {sockets.TCP, false}, {sockets.TLS, false}} {
		o := s.options(c.transport)
		o.OwnSockets, o.Workers = c.own, 2
		churn, err := NewChurn(o)
		if err != nil {
			t.Fatal(err)
		}
		churned, err := churn.Run(t.Context(), time.Minute, 20)
		if err != nil || churned.Cycles < 20 || churned.Cycles > 20+uint64(o.Allocations) || len(churned.Failures) > 0 {
			t.Errorf("%v: %d cycles, failures %v: %v", c, churned.Cycles, churned.Failures, err)
		}
		if churned.Cycle.Count() != churned.Cycles || churned.Times[turnclient.Release].Count() != churned.Cycles || churn.Progress() != churned.Cycles {
			t.Errorf("%v: %d of %d cycles have a duration", c, churned.Cycle.Count(), churned.Cycles)
		}
		if err := churn.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOptionsAreValidated(t *testing.T) {
	s := serve(t, nil)
	cases := map[string]func(*Options){
		"allocations is 0":    func(o *Options) { o.Allocations = 0 },
		"allocations is 5000": func(o *Options) { o.Allocations = 5_000_000 },
		"workers is 9":        func(o *Options) { o.Workers = 9 },
		"peers is 9":          func(o *Options) { o.Peers = 9 },
		"rate is 0":           func(o *Options) { o.Rate = 0 },
		"size is 23":          func(o *Options) { o.Size = 23 },
		"size is 1473":        func(o *Options) { o.Size = 1473 },
		"burst is 65":         func(o *Options) { o.Burst = 65 },
		"direction is":        func(o *Options) { o.Direction = "sideways" },
		"segments work over":  func(o *Options) { o.Segment, o.Transport = true, sockets.TCP },
		"same family":         func(o *Options) { o.PeerAddress = netip.IPv6Loopback() },
		"tick is":             func(o *Options) { o.Tick = time.Minute },
	}
	for want, edit := range cases {
		o := s.options(sockets.UDP)
		edit(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New returned %v, want an error with %q", err, want)
		}
	}
}
