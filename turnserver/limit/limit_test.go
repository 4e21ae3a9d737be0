package limit

import (
	"net/netip"
	"testing"
	"time"
)

const second = int64(time.Second)

var (
	alice = netip.MustParseAddr("192.0.2.1")
	bob   = netip.MustParseAddr("198.51.100.1")
)

func TestBucketRefillsWithTime(t *testing.T) {
	var b Bucket
	for i := range 10 {
		if !b.Take(0, second/10, second) {
			t.Fatalf("token %d of 10 is missing", i)
		}
	}
	if b.Has(0, second/10, second) || b.Take(0, second/10, second) {
		t.Error("an eleventh token")
	}
	if !b.Has(second/10, second/10, second) || !b.Take(second/10, second/10, second) || b.Take(second/10, second/10, second) {
		t.Error("a tenth of a second does not bring back exactly one token")
	}
}

func TestTakeBytes(t *testing.T) {
	for name, tt := range map[string]struct {
		size, rate int
		want       int // packets out of a full bucket at once, up to 100
	}{
		"no limit":                    {1000, 0, 100},
		"a quarter of a second":       {1000, 40_000, 10},
		"one packet of any size fits": {60_000, 1000, 1},
	} {
		var b Bucket
		passed := 0
		for range 100 {
			if b.TakeBytes(0, tt.size, tt.rate) {
				passed++
			}
		}
		if passed != tt.want {
			t.Errorf("%s: %d packets pass, want %d", name, passed, tt.want)
		}
	}
}

func TestClientPrefix(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1":           "192.0.2.1/32",
		"::ffff:192.0.2.1":    "192.0.2.1/32",
		"2001:db8:1:2:3::4":   "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff::": "2001:db8:1:2::/64",
	} {
		if got := ClientPrefix(netip.MustParseAddr(in)).String(); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	if ClientPrefix(netip.Addr{}).IsValid() {
		t.Error("the zero Addr has a valid prefix")
	}
}

// A prefix gets its burst and then its rate, independently of other prefixes.
func TestRepliesPerPrefix(t *testing.T) {
	r := NewReplies()
	ask := func(a string, at time.Duration, times int) (granted int) {
		for range times {
			if r.Allow(netip.MustParseAddr(a), int64(at), 10, 25_000) {
				granted++
			}
		}
		return granted
	}
	if n := ask("192.0.2.1", 0, 1000); n != 100 {
		t.Errorf("%d replies at once, want the burst of 100", n)
	}
	if n := ask("192.0.2.2", 0, 1000); n != 0 {
		t.Errorf("%d replies to a neighbour in a spent /24", n)
	}
	if n := ask("192.0.2.1", 2*time.Second, 1000); n != 20 {
		t.Errorf("%d replies after two seconds, want 20", n)
	}
	if n := ask("203.0.113.1", 0, 50) + ask("2001:db8::1", 0, 50); n != 100 {
		t.Errorf("%d replies to two other prefixes, want 100", n)
	}
}

// In a flood from everywhere at twice the limit, the limit holds and a client that retransmits gets through: with seven
// requests, 127 of 128 clients do on average.
func TestRepliesInTotal(t *testing.T) {
	const limit, flood, clients, requests = 25_000, 50_000, 400, 7
	r := NewReplies()
	granted, answered := 0, make(map[int]bool)
	for i := range 2 * flood {
		now := int64(i) * second / flood
		if r.allowInTotal(now, limit) && i >= flood {
			granted++
		}
		if n := i - flood; n >= 0 && n%(flood/clients/requests) == 0 && r.allowInTotal(now, limit) {
			answered[n/(flood/clients/requests)%clients] = true
		}
	}
	if granted < 22_000 || granted > 28_000 {
		t.Errorf("%d replies in the second second of a flood, want about 25,000", granted)
	}
	if len(answered) < clients*19/20 {
		t.Errorf("%d of %d honest clients got through", len(answered), clients)
	}
	if !r.allowInTotal(10*second, limit) {
		t.Error("a reply is refused after the flood")
	}
}

func TestAuthFailuresLimitOnePair(t *testing.T) {
	f := NewAuthFailures()
	name := []byte("alice")
	for i := range 100 {
		if !f.Allow(alice, name, 0) {
			t.Fatalf("refused after %d failures", i)
		}
		f.Count(alice, name, 0)
	}
	if f.Allow(alice, name, 0) {
		t.Error("allowed after 100 failures")
	}
	if !f.Allow(alice, []byte("bob"), 0) || !f.Allow(bob, name, 0) {
		t.Error("another user or another address is refused too")
	}
	if !f.Allow(alice, name, second/10) {
		t.Error("refused a tenth of a second later")
	}
}

func TestConnectionsOfOneClient(t *testing.T) {
	c := NewConnections()
	add := func(client netip.Addr) *Connection {
		added, evicted := c.Add(client, 2, 100, func() {})
		if evicted != nil {
			t.Error("evicted below the total")
		}
		return added
	}
	first, second := add(alice), add(alice)
	if add(alice) != nil {
		t.Error("a third connection")
	}
	if add(bob) == nil {
		t.Error("another client has no room")
	}
	first.Remove()
	first.Remove()
	if c.Len() != 2 || add(alice) == nil {
		t.Errorf("%d connections after one was removed twice, want 2, and room for one", c.Len())
	}
	second.Remove()
}

func TestConnectionsAtTheTotal(t *testing.T) {
	c := NewConnections()
	closed := ""
	add := func(client netip.Addr, name string) *Connection {
		added, evicted := c.Add(client, 2, 2, func() { closed = name })
		if evicted != nil {
			evicted.Evict()
		}
		return added
	}
	busy, idle := add(alice, "busy"), add(alice, "idle")
	busy.SetAllocated(true)
	last := add(bob, "last")
	if last == nil || closed != "idle" || c.Len() != 2 {
		t.Fatalf("added %v, closed %q, %d connections", last, closed, c.Len())
	}
	idle.SetAllocated(false) // its allocation ends only now; it is not counted any more
	last.SetAllocated(true)
	if closed = ""; add(bob, "no room") != nil || closed != "" {
		t.Errorf("added where all have an allocation, closed %q", closed)
	}
	last.SetAllocated(false)
	if add(alice, "newest") == nil || closed != "last" {
		t.Errorf("closed %q, want the one whose allocation ended", closed)
	}
	for _, x := range []*Connection{busy, idle, last} {
		x.Remove()
	}
	if c.Len() != 1 || len(c.clients) != 1 || len(c.idle) != 1 {
		t.Errorf("left: %d, %v, %d idle; want the newest alone", c.Len(), c.clients, len(c.idle))
	}
}
