package abuse

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"icebox/deploy/e2e/abuse/flood"
	"icebox/deploy/e2e/abuse/procfs"
	"icebox/deploy/e2e/abuse/stun"
	"icebox/deploy/e2e/abuse/turn"
)

const (
	floodRate = 50000
	floodFor  = 10 * time.Second
	// repliesInTotal and repliesPerPrefix are the daemon's default limits of replies a second, and repliesBurst is the
	// burst that one prefix may use.
	repliesInTotal   = 25000
	repliesPerPrefix = 50
	repliesBurst     = 500
	// guessesPerSecond and guessesBurst limit how many failed authentications the daemon answers for one address.
	guessesPerSecond = 10
	guessesBurst     = 100
	// idCounter is an offset within the transaction id of a message. The counter there makes each message unique.
	idCounter = 12
)

var attacker = netip.MustParseAddr("127.10.0.66")

// openFlood opens sources for a flood. They are closed when the test ends.
func openFlood(t *testing.T, server netip.AddrPort, from []netip.Addr) *flood.Sources {
	t.Helper()
	s, err := flood.Open(server, from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// unleash starts a flood in a goroutine. The flood ends with the test at the latest.
func unleash(t *testing.T, s *flood.Sources, message []byte, counter, rate int, d time.Duration) <-chan flood.Result {
	t.Helper()
	result, over := make(chan flood.Result, 1), make(chan struct{})
	go func() {
		defer close(over)
		result <- s.Run(t.Context(), message, counter, rate, d)
	}()
	t.Cleanup(func() { <-over }) // the context has ended
	return result
}

// botnet returns the source addresses of a flood: 600 addresses in as many networks, each twelve times.
func botnet() (out []netip.Addr) {
	for range 12 {
		out = append(out, flood.Addresses(attacker, 600)...)
	}
	return out
}

// bareAllocate returns the shortest possible Allocate, which has 20 bytes.
func bareAllocate() []byte { return stun.Build(stun.Allocate, stun.NewID()) }

// During a flood of 50,000 requests a second without credentials, from 600 networks, new honest clients can allocate with
// the help of their retransmissions, and the daemon's memory does not grow.
func TestFlood(t *testing.T) {
	for name, message := range map[string][]byte{
		"allocate": bareAllocate(),
		"binding":  stun.Build(stun.Binding, stun.NewID()),
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, settings{})
			c, _ := b.allocate(t, turn.UDP, honest, "before") // warms the daemon up
			if err := c.Release(); err != nil {
				t.Fatal(err)
			}
			sources := openFlood(t, b.plain, botnet())
			memory, cpu := b.memory(t), b.cpu(t)
			limited := b.Metric("icebox_turn_dropped_total", `reason="reply_rate"`)
			r, peak, honest := b.endure(t, unleash(t, sources, message, idCounter, floodRate, floodFor))

			used := b.cpu(t) - cpu
			lost := must(t)(procfs.Lost(b.plain))
			limited = b.Metric("icebox_turn_dropped_total", `reason="reply_rate"`) - limited
			rate := float64(r.Replies) / r.Took.Seconds()
			t.Logf("%.0f requests a second for %s, %.0f a second answered; %.0f above the reply limit, %d lost before the socket",
				r.Rate(), r.Took.Round(time.Millisecond), rate, limited, lost)
			t.Logf("daemon: %.0f%% of a processor, %.1f us for each request; memory %.1f MiB before, %.1f MiB at most", 100*used.Seconds()/r.Took.Seconds(),
				float64(used.Microseconds())/float64(r.Sent-lost), mib(memory), mib(peak))
			honest.log(t)
			if r.Rate() < floodRate/2 {
				t.Errorf("the flood had only %.0f requests a second: this machine is too busy for the test", r.Rate())
			}
			if rate > repliesInTotal*1.1 {
				t.Errorf("%.0f replies a second, want at most %d", rate, repliesInTotal)
			}
			if peak-memory > 16<<20 {
				t.Errorf("memory grew from %.1f MiB to %.1f MiB", mib(memory), mib(peak))
			}
		})
	}
}

func mib(bytes int) float64 { return float64(bytes) / (1 << 20) }

// newcomers are the results of honest clients that connected during a flood.
type newcomers struct {
	took  []time.Duration // time from the first packet to the relayed address
	sends []int           // requests sent; two are needed
}

func (n *newcomers) log(t *testing.T) {
	t.Helper()
	if len(n.took) == 0 {
		t.Error("no honest client connected during the flood")
		return
	}
	slices.Sort(n.took)
	slices.Sort(n.sends)
	t.Logf("%d honest newcomers: median %s, slowest %s; requests sent: median %d, most %d (2 are needed)", len(n.took),
		n.took[len(n.took)/2].Round(time.Microsecond), n.took[len(n.took)-1].Round(time.Microsecond), n.sends[len(n.sends)/2], n.sends[len(n.sends)-1])
}

// endure connects honest clients, one after the other and each from another network, until the flood is over. peak is the
// highest memory use of the daemon during the flood.
func (b *box) endure(t *testing.T, done <-chan flood.Result) (r flood.Result, peak int, n newcomers) {
	t.Helper()
	addrs := flood.Addresses(honest, 200)
	pause := time.NewTicker(100 * time.Millisecond)
	defer pause.Stop()
	for i := 0; ; i++ {
		peak = max(peak, b.memory(t))
		select {
		case r = <-done:
			return r, peak, n
		case <-pause.C:
		}
		start := time.Now()
		c := b.dial(t, turn.UDP, addrs[i%len(addrs)], "newcomer")
		if _, err := c.Allocate(); err != nil {
			t.Errorf("allocate for an honest client at %v, after %d requests and %s: %v", c.Local(), c.Sends, time.Since(start), err)
			continue
		}
		n.took, n.sends = append(n.took, time.Since(start)), append(n.sends, c.Sends)
		if err := c.Release(); err != nil {
			t.Errorf("release during the flood: %v", err)
		}
	}
}

// One address draws at most 50 replies a second after a burst of 500. All addresses of its /24 share this limit.
func TestFloodOfOneAddress(t *testing.T) {
	const rate, seconds = 4000, 4
	for name, from := range map[string][]netip.Addr{
		"one address":      {attacker},
		"two of one /24":   {attacker, attacker.Next()},
		"seven of one /24": sevenFrom(attacker),
		"one /64":          {here6, here6, here6},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, settings{})
			r := openFlood(t, b.at(turn.UDP, from[0]), from).Run(t.Context(), bareAllocate(), idCounter, rate, seconds*time.Second)
			most := repliesBurst + repliesPerPrefix*(r.Took.Seconds()+1)
			t.Logf("%d requests in %s: %d replies (limit %.0f)", r.Sent, r.Took.Round(time.Millisecond), r.Replies, most)
			if float64(r.Replies) > most || r.Replies < repliesBurst {
				t.Errorf("%d replies, want %d to %.0f", r.Replies, repliesBurst, most)
			}
			c, _ := b.allocate(t, turn.UDP, honest, "neighbour")
			if c.Sends != 2 {
				t.Errorf("a client in another network needed %d requests, want 2", c.Sends)
			}
		})
	}
}

// sevenFrom returns seven consecutive addresses.
func sevenFrom(a netip.Addr) (out []netip.Addr) {
	for range 7 {
		out = append(out, a)
		a = a.Next()
	}
	return out
}

// A client with a valid nonce that guesses 20,000 passwords a second gets answers to only a few of them, and does not
// affect other clients.
func TestPasswordGuessing(t *testing.T) {
	const rate, d = 20000, 4 * time.Second
	b := start(t, settings{})
	o := b.observe(t)
	before := o.during(func() {})
	login := turn.Mint(secret, "guesser")
	login.Password = "a guess"
	conn, err := turn.Dial(t.Context(), turn.UDP, attacker, b.plain)
	if err != nil {
		t.Fatal(err)
	}
	guesser := turn.New(conn, login)
	defer guesser.Close()
	if err := guesser.SignIn(); err != nil {
		t.Fatal(err)
	}
	guess := guesser.Signed(stun.Allocate, stun.UDPTransport())
	wrong := b.Metric("icebox_turn_error_responses_total", `code="401"`)
	cpu := b.cpu(t)
	done := unleash(t, openFlood(t, b.plain, []netip.Addr{attacker}), guess, idCounter, rate, d)
	var r flood.Result
	o.unharmed("password guesses", before, func() { r = <-done })
	used := b.cpu(t) - cpu
	wrong = b.Metric("icebox_turn_error_responses_total", `code="401"`) - wrong
	t.Logf("%.0f guesses a second, %.0f answered with 401: %.0f%% of a processor including the observer's traffic", r.Rate(), wrong, 100*used.Seconds()/r.Took.Seconds())
	if most := guessesBurst + guessesPerSecond*(r.Took.Seconds()+1); wrong > most {
		t.Errorf("%.0f guesses were answered, want at most %.0f", wrong, most)
	}
	if n := b.Metric("icebox_turn_sessions"); n != 1 {
		t.Errorf("%v sessions, want only the observer's", n)
	}
	c := b.dial(t, turn.UDP, attacker, "neighbour")
	if _, err := c.Allocate(); err != nil {
		t.Errorf("another user at the same address: %v", err)
	}
}
