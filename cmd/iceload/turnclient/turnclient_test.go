package turnclient

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"icebox/turnserver/credential"
	"icebox/turnserver/wire"
)

var (
	testPeer    = netip.MustParseAddrPort("127.0.0.2:9")
	testRelayed = netip.MustParseAddrPort("127.0.0.1:50000")
	everything  = []Step{Allocate, CreatePermission, BindChannel, Refresh, Release}
)

// server responds to requests as a TURN server does. It queues requests until the test asks for
// responses.
type server struct {
	t        *testing.T
	password string
	nonce    string
	queue    []receivedRequest
	steps    []string
	forge    bool // sign responses with a wrong key
	refuse   map[Step]wire.Code
}

type receivedRequest struct {
	client  int
	request []byte
}

func (s *server) send(client int, request []byte) {
	s.queue = append(s.queue, receivedRequest{client, slices.Clone(request)})
}

// step returns the step that a request belongs to.
func step(m *wire.Message) Step {
	lifetime, _ := m.Get(wire.AttrLifetime)
	if d, ok := wire.Seconds(lifetime); ok && d == 0 {
		return Release
	}
	return map[wire.Method]Step{wire.Allocate: Allocate, wire.CreatePermission: CreatePermission, wire.ChannelBind: BindChannel, wire.Refresh: Refresh}[m.Method]
}

// respondTo returns the response to a request.
func (s *server) respondTo(request []byte) []byte {
	var m wire.Message
	if err := wire.Parse(request, &m); err != nil {
		s.t.Fatalf("parse a request: %v", err)
	}
	what := step(&m)
	s.steps = append(s.steps, what.String())
	user, _ := m.Get(wire.AttrUsername)
	nonce, _ := m.Get(wire.AttrNonce)
	key := credential.LongTermKey(string(user), "realm", s.password)
	refusal := func(code wire.Code) []byte {
		return wire.NewBuilder(nil, m.Method, wire.Error, m.TransactionID).ErrorCode(code, "").
			Text(wire.AttrRealm, "realm").Text(wire.AttrNonce, s.nonce).Bytes()
	}
	switch {
	case !m.CheckIntegrity(key):
		return refusal(wire.Unauthorized)
	case string(nonce) != s.nonce:
		return refusal(wire.StaleNonce)
	case s.refuse[what] != 0:
		return refusal(s.refuse[what])
	case s.forge:
		key = []byte("forged")
	}
	b := wire.NewBuilder(nil, m.Method, wire.Success, m.TransactionID)
	if what == Allocate {
		b.XORAddress(wire.AttrXORRelayedAddress, testRelayed)
	}
	return b.Integrity(key).Bytes()
}

// respondToAll responds to all queued requests, and to those that the responses lead to.
func (s *server) respondToAll(r *Runner, now time.Time) {
	for len(s.queue) > 0 {
		q := s.queue[0]
		s.queue = s.queue[1:]
		if !r.Handle(q.client, s.respondTo(q.request), now) {
			s.t.Errorf("client %d did not expect the response", q.client)
		}
	}
}

// setUp returns n clients whose password is "right".
func setUp(t *testing.T, n, window int) (*server, *Runner, []*Client) {
	s := &server{t: t, password: "right", nonce: "first", refuse: map[Step]wire.Code{}}
	clients := make([]*Client, n)
	for i := range clients {
		clients[i] = &Client{Account: Account{"alice", "right"}, Peer: testPeer, Channel: 0x4000}
	}
	return s, NewRunner(RunnerOptions{Clients: clients, Send: s.send, Window: window}), clients
}

func TestScriptRuns(t *testing.T) {
	s, r, clients := setUp(t, 1, 1)
	now := time.Now()
	var ended []error
	r.Start(0, now, everything, func(err error) { ended = append(ended, err) })
	s.respondToAll(r, now.Add(time.Millisecond))
	want := []string{"allocate", "allocate", "permission", "channel", "refresh", "release"}
	if !slices.Equal(s.steps, want) || !slices.Equal(ended, []error{nil}) || !r.Idle() || r.Busy(0) {
		t.Errorf("requests %v, ended with %v", s.steps, ended)
	}
	if clients[0].Relayed != testRelayed {
		t.Errorf("relayed address %v", clients[0].Relayed)
	}
	for what := range numSteps {
		if n := r.Times[what].Count(); n != 1 {
			t.Errorf("%v was timed %d times", what, n)
		}
	}
}

func TestNewNonceIsUsed(t *testing.T) {
	s, r, _ := setUp(t, 1, 1)
	now := time.Now()
	r.Start(0, now, everything[:1], nil)
	s.respondToAll(r, now)
	s.nonce = "second"
	var got error
	r.Start(0, now, []Step{Refresh}, func(err error) { got = err })
	s.respondToAll(r, now)
	if want := []string{"allocate", "allocate", "refresh", "refresh"}; got != nil || !slices.Equal(s.steps, want) {
		t.Errorf("requests %v, ended with %v", s.steps, got)
	}
}

func TestFailures(t *testing.T) {
	cases := map[string]struct {
		tamper func(*server)
		want   string
	}{
		"wrong password":     {func(s *server) { s.password = "other" }, "allocate: 401 Unauthorized (is"},
		"quota":              {func(s *server) { s.refuse[Allocate] = wire.AllocationQuotaReached }, "allocate: 486 Allocation Quota Reached (raise"},
		"forbidden peer":     {func(s *server) { s.refuse[BindChannel] = wire.Forbidden }, "channel: 403 Forbidden (does"},
		"endless challenges": {func(s *server) { s.refuse[CreatePermission] = wire.StaleNonce }, "permission: 438 Stale Nonce"},
		"wrong signature":    {func(s *server) { s.forge = true }, "allocate: the response's MESSAGE-INTEGRITY"},
		"nothing to release": {func(s *server) { s.refuse[Release] = wire.AllocationMismatch }, "release: 437 Allocation Mismatch"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s, r, _ := setUp(t, 1, 1)
			c.tamper(s)
			var got error
			r.Start(0, time.Now(), everything, func(err error) { got = err })
			s.respondToAll(r, time.Now())
			if got == nil || !strings.HasPrefix(got.Error(), c.want) || !r.Idle() {
				t.Errorf("ended with %v, want %s...", got, c.want)
			}
		})
	}
}

func TestRequestsAreRetransmitted(t *testing.T) {
	s, r, _ := setUp(t, 1, 1)
	now := time.Now()
	var got error
	r.Start(0, now, everything, func(err error) { got = err })
	var at []time.Duration
	for elapsed := time.Duration(0); got == nil; elapsed += 100 * time.Millisecond {
		next := r.Tick(now.Add(elapsed))
		if len(s.queue) > 0 {
			at = append(at, elapsed)
			s.queue = nil
		}
		if got == nil && !next.After(now.Add(elapsed)) {
			t.Fatalf("at %v the next tick is due at %v", elapsed, next.Sub(now))
		}
		if elapsed > time.Minute {
			t.Fatal("the request was never abandoned")
		}
	}
	ms := time.Millisecond
	if want := []time.Duration{0, 500 * ms, 1500 * ms, 3500 * ms}; !slices.Equal(at, want) || !errors.Is(got, ErrTimeout) {
		t.Errorf("sent at %v, ended with %v", at, got)
	}
	if r.Repeated != 3 || !r.Tick(now).IsZero() {
		t.Errorf("%d retransmissions; next tick %v", r.Repeated, r.Tick(now))
	}
}

// The response to the first Release gets lost, and the response to the second says that there is no
// allocation.
func TestRetransmittedReleaseSucceeds(t *testing.T) {
	s, r, _ := setUp(t, 1, 1)
	now := time.Now()
	r.Start(0, now, everything[:1], nil)
	s.respondToAll(r, now)
	got := errors.New("the script has not ended")
	r.Start(0, now, []Step{Release}, func(err error) { got = err })
	s.queue = nil
	s.refuse[Release] = wire.AllocationMismatch
	now = now.Add(firstTimeout)
	r.Tick(now)
	s.respondToAll(r, now)
	if got != nil {
		t.Errorf("ended with %v", got)
	}
}

func TestWindowLimitsConcurrentRequests(t *testing.T) {
	s, r, clients := setUp(t, 20, 3)
	now := time.Now()
	ended := 0
	for i := range clients {
		r.Start(i, now, everything[:2], func(err error) {
			if err != nil {
				t.Error(err)
			}
			ended++
		})
	}
	for !r.Idle() {
		if len(s.queue) == 0 || len(s.queue) > 3 {
			t.Fatalf("%d requests wait for a response", len(s.queue))
		}
		q := s.queue[len(s.queue)-1] // respond out of order
		s.queue = s.queue[:len(s.queue)-1]
		r.Handle(q.client, s.respondTo(q.request), now)
	}
	if ended != 20 {
		t.Errorf("%d of 20 scripts ended", ended)
	}
}

func TestUnexpectedMessagesAreIgnored(t *testing.T) {
	s, r, _ := setUp(t, 2, 2)
	now := time.Now()
	r.Start(0, now, everything, nil)
	response := s.respondTo(s.queue[0].request)
	other := slices.Clone(response)
	other[10] ^= 1 // transaction ID
	for name, got := range map[string]bool{
		"another transaction": r.Handle(0, other, now),
		"another client":      r.Handle(1, response, now),
		"no such client":      r.Handle(7, response, now),
		"a request":           r.Handle(0, s.queue[0].request, now),
		"invalid bytes":       r.Handle(0, []byte("invalid"), now),
	} {
		if got {
			t.Errorf("%s was taken for the expected response", name)
		}
	}
	if !r.Handle(0, response, now) || r.Handle(0, response, now) {
		t.Error("the response must count exactly once")
	}
}

func TestResetClientIsChallengedAgain(t *testing.T) {
	s, r, clients := setUp(t, 1, 1)
	r.Start(0, time.Now(), everything, nil)
	s.respondToAll(r, time.Now())
	clients[0].Reset()
	s.steps = nil
	r.Start(0, time.Now(), everything[:1], nil)
	s.respondToAll(r, time.Now())
	if want := []string{"allocate", "allocate"}; !slices.Equal(s.steps, want) {
		t.Errorf("requests %v, want a new challenge", s.steps)
	}
}
