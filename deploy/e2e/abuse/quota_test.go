package abuse

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"

	"icebox/deploy/e2e/abuse/flood"
	"icebox/deploy/e2e/abuse/stun"
	"icebox/deploy/e2e/abuse/turn"
)

// A client that asks for more permissions or channels than its limit gets 508 for the rest. Other clients have limits of
// their own.
func TestPermissionAndChannelFloods(t *testing.T) {
	const most, asked = 64, 2000
	b := start(t, settings{})
	o := b.observe(t)
	before, memory := o.during(func() {}), b.memory(t)
	for name, ask := range map[string]func(*turn.Client, int) error{
		"permissions": func(c *turn.Client, i int) error { return c.Permit(somebody(i)) },
		"channels":    func(c *turn.Client, i int) error { return c.Bind(0x4000+uint16(i), somebody(i)) },
		"channels to one address": func(c *turn.Client, i int) error {
			return c.Bind(0x4000+uint16(i), netip.AddrPortFrom(somebody(0).Addr(), uint16(1000+i)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := b.allocate(t, turn.UDP, crowdAddr, name)
			granted := 0
			o.unharmed(fmt.Sprintf("%d requests for %s", asked, name), before, func() {
				for i := range asked {
					switch code := codeOf(ask(c, i)); code {
					case 0:
						granted++
					case 508:
					default:
						t.Fatalf("request %d: code %d", i, code)
					}
				}
			})
			if granted != most {
				t.Errorf("%d of %d requests were granted, want %d", granted, asked, most)
			}
			wantCode(t, "a request for an existing one", ask(c, 0), 0)
			other, _ := b.allocate(t, turn.UDP, crowdAddr.Next(), name)
			wantCode(t, "a request of another client", ask(other, most), 0)
		})
	}
	t.Run("many peers in one request", func(t *testing.T) {
		c, _ := b.allocate(t, turn.UDP, crowdAddr, "many")
		var peers []netip.AddrPort
		for i := range most + 1 {
			peers = append(peers, somebody(i))
		}
		wantCode(t, "65 peers at once", c.Permit(peers...), 508)
		wantCode(t, "64 peers at once", c.Permit(peers[1:]...), 0)
		wantCode(t, "the 65th peer", c.Permit(peers[0]), 508)
	})
	if grown := b.memory(t) - memory; grown > 16<<20 {
		t.Errorf("memory grew by %.1f MiB", mib(grown))
	}
}

// somebody returns the i-th of many allowed peers.
func somebody(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 210, byte(i >> 8), byte(i)}), 4000)
}

// Of 200 simultaneous Allocates, over all transports, exactly as many succeed as the quota allows.
func TestQuotaRaces(t *testing.T) {
	const racers = 200
	b := start(t, settings{})
	addrs := flood.Addresses(crowdAddr, racers)
	for name, tt := range map[string]struct {
		quota int
		from  func(i int) netip.Addr
		user  func(i int) string
	}{
		"one user":    {60, func(i int) netip.Addr { return addrs[i] }, func(int) string { return "alice" }},
		"one address": {120, func(int) netip.Addr { return crowdAddr }, func(i int) string { return fmt.Sprint("user", i) }},
		"one /64":     {120, func(int) netip.Addr { return here6 }, func(i int) string { return fmt.Sprint("user", i) }},
	} {
		t.Run(name, func(t *testing.T) {
			for round := range 2 {
				clients := make([]*turn.Client, racers)
				for i := range clients {
					clients[i] = b.dial(t, []turn.Transport{turn.UDP, turn.TCP, turn.TLS}[i%3], tt.from(i), tt.user(i))
				}
				granted := race(t, clients)
				t.Logf("round %d: %d of %d allocated", round, len(granted), racers)
				if len(granted) != tt.quota {
					t.Errorf("round %d: %d allocations, want %d", round, len(granted), tt.quota)
				}
				if n := b.Metric("icebox_turn_sessions"); int(n) != len(granted) {
					t.Errorf("round %d: the daemon counts %v sessions, the clients %d", round, n, len(granted))
				}
				for _, c := range granted {
					if err := c.Release(); err != nil {
						t.Error(err)
					}
				}
				for _, c := range clients {
					c.Close()
				}
			}
		})
	}
}

// race lets all clients allocate at the same time. It returns the clients that succeeded; all others must get 486.
func race(t *testing.T, clients []*turn.Client) (granted []*turn.Client) {
	t.Helper()
	ready, gun := make(chan struct{}, len(clients)), make(chan struct{})
	codes := make([]int, len(clients))
	done := make(chan struct{}, len(clients))
	for i, c := range clients {
		go func() {
			defer func() { done <- struct{}{} }()
			err := c.SignIn()
			ready <- struct{}{}
			<-gun
			if err == nil {
				_, err = c.Allocate()
			}
			codes[i] = codeOf(err)
		}()
	}
	for range clients {
		<-ready
	}
	close(gun)
	for range clients {
		<-done
	}
	for i, code := range codes {
		switch code {
		case 0:
			granted = append(granted, clients[i])
		case 486:
		default:
			t.Errorf("Allocate of client %d: code %d", i, code)
		}
	}
	return granted
}

// Clients that allocate and release continuously never have more allocations than the quota at the same time.
func TestQuotaWhileReleasing(t *testing.T) {
	const quota, clients, rounds = 10, 30, 60
	b := start(t, settings{limits: fmt.Sprintf("{allocations_per_user: %d}", quota)})
	addrs := flood.Addresses(crowdAddr, clients)
	var held, most, refused atomic.Int64
	err := parallel(clients, func(i int) error {
		for range rounds {
			c, err := b.tryDial(turn.UDP, addrs[i], "alice")
			if err != nil {
				return err
			}
			_, err = c.Allocate()
			if codeOf(err) == 486 {
				refused.Add(1)
				c.Close()
				continue
			}
			if err == nil {
				err = hold(c, &held, &most)
			}
			c.Close()
			if err != nil {
				return err
			}
		}
		return nil
	})
	t.Logf("at most %d simultaneous allocations, %d refused", most.Load(), refused.Load())
	if err != nil || most.Load() != quota || refused.Load() == 0 {
		t.Errorf("at most %d simultaneous allocations, want %d, and some refused; %v", most.Load(), quota, err)
	}
	if n := b.Metric("icebox_turn_sessions"); n != 0 {
		t.Errorf("%v sessions are left", n)
	}
}

// hold keeps an allocation for a few requests and then releases it. It adds the allocation to held after the daemon has
// counted it, and takes it off before the daemon does, so that held is never above the daemon's count.
func hold(c *turn.Client, held, most *atomic.Int64) error {
	n := held.Add(1)
	for old := most.Load(); n > old && !most.CompareAndSwap(old, n); {
		old = most.Load()
	}
	for range 5 {
		if _, err := c.Request(stun.Refresh); err != nil {
			return err
		}
	}
	held.Add(-1)
	return c.Release()
}
