package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"icebox/cmd/iceload/hubload"
)

// The loads of `iceload signal`, by their names in --load.
const (
	candidates = "candidate"
	offers     = "offer"
	signIns    = "sign-in"
	idle       = "idle"
)

// hubLoads describe how a signalling server is loaded.
type hubLoads struct {
	names                    []string
	clients, window          int
	candidateRate, offerRate int
	candidateSize, offerSize int
	signInRate               int
	counts                   []int
	duration, warmup, rest   time.Duration
}

func (l *hubLoads) flags(set *pflag.FlagSet, load []string) {
	set.StringSliceVar(&l.names, "load", load, "what to measure: candidate, offer, sign-in, idle")
	set.IntVar(&l.clients, "clients", 200, "number of clients that send candidates and offers, in pairs")
	set.IntVar(&l.window, "window", 32, "concurrent sign-ins")
	set.IntVar(&l.candidateRate, "candidate-rate", 10_000, "candidates per second in total")
	set.IntVar(&l.candidateSize, "candidate-size", 200, "size of a candidate in bytes")
	set.IntVar(&l.offerRate, "offer-rate", 2_000, "offers per second in total")
	set.IntVar(&l.offerSize, "offer-size", 4096, "size of an offer in bytes")
	set.IntVar(&l.signInRate, "sign-in-rate", 500, "clients per second that connect, sign in and leave")
	set.IntSliceVar(&l.counts, "counts", []int{1000, 10_000}, "numbers of idle connections at which to read the server's memory")
	set.DurationVar(&l.duration, "duration", 5*time.Second, "how long to measure each load")
	set.DurationVar(&l.warmup, "warmup", time.Second, "how long to load before measuring")
	set.DurationVar(&l.rest, "rest", 3*time.Second, "how long connections are idle before the server's memory is read")
}

// validate returns an error that lists everything that is wrong with the flags.
func (l *hubLoads) validate() error {
	var errs []error
	for _, n := range l.names {
		if !slices.Contains([]string{candidates, offers, signIns, idle}, n) {
			errs = append(errs, fmt.Errorf("--load %q: must be %s, %s, %s or %s", n, candidates, offers, signIns, idle))
		}
	}
	if len(l.names) == 0 {
		errs = append(errs, errors.New("--load is empty"))
	}
	if l.clients < 2 || l.clients > hubload.MaxClients {
		errs = append(errs, fmt.Errorf("--clients must be 2 to %d", hubload.MaxClients))
	}
	if l.duration <= 0 || l.duration > hubload.MaxDuration || l.warmup < 0 || l.warmup > time.Minute || l.rest < 0 || l.rest > time.Hour {
		errs = append(errs, fmt.Errorf("--duration must be at most %v, --warmup at most 1m, --rest at most 1h", hubload.MaxDuration))
	}
	if !ascending(l.counts) || l.counts[len(l.counts)-1] > hubload.MaxClients {
		errs = append(errs, fmt.Errorf("--counts must be at least two numbers in ascending order, at most %d", hubload.MaxClients))
	}
	c, o := l.exchange(candidates), l.exchange(offers)
	return errors.Join(append(errs, c.Validate(), o.Validate())...)
}

func ascending(counts []int) bool {
	return len(counts) >= 2 && slices.IsSorted(counts) && counts[0] > 0 && counts[0] != counts[len(counts)-1]
}

// exchange returns the load of candidates or offers.
func (l *hubLoads) exchange(name string) hubload.Exchange {
	if name == offers {
		return hubload.Exchange{Kind: hubload.Offer, Size: l.offerSize, Rate: l.offerRate}
	}
	return hubload.Exchange{Kind: hubload.Candidate, Size: l.candidateSize, Rate: l.candidateRate}
}

func (p *program) signalCommand() *cobra.Command {
	var loads hubLoads
	var t target
	var address, protocol string
	c := &cobra.Command{
		Use:   "signal",
		Short: "Load a signalling server: CPU time per message and sign-in, latency, memory per connection",
		Long: `Signal lets clients exchange candidates, then offers, at an even rate, and lets clients connect, sign in
and leave. With --load idle it reads the server's memory at several numbers of idle connections; the slope is
what one connection costs. It uses the classic protocol of login, offer, answer and candidate, or icebox's own.

Latency is measured from before a message is written until its recipient has read it. The kernel's memory for the
sockets is not measured. A server must not limit what one client may send or how many clients one address may have;
"iceload signal compare" starts servers that are configured accordingly.`,
		Example: `  iceload signal --url ws://127.0.0.1:8080/ws --protocol native --pid $(pidof icebox)
  iceload signal --url wss://127.0.0.1:8443/ --pid $(pidof node) --load idle --counts 1000,10000`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			options, err := hubOptions(c.Context(), address, protocol, loads.window, &t)
			if err = errors.Join(err, loads.validate()); err != nil {
				return err
			}
			server, err := t.openProcess()
			if err != nil {
				return err
			}
			if server == nil && slices.Contains(loads.names, idle) {
				return errors.New("--pid is missing: the load idle measures the server's memory")
			}
			report, err := p.measureHub(c.Context(), options, &loads, server)
			if report != nil {
				err = errors.Join(err, p.print(report))
			}
			return failed(err)
		},
	}
	set := c.Flags()
	set.StringVar(&address, "url", "", "`URL` of the WebSocket: ws or wss (certificates are not verified)")
	set.StringVar(&protocol, "protocol", string(hubload.Classic), "classic or native")
	set.BoolVar(&t.ownsServer, "i-own-this-server", false, "load a server whose address is neither loopback nor private")
	set.IntVar(&t.pid, "pid", 0, "process `ID` of the server on this host, to measure its CPU time and memory")
	loads.flags(set, []string{candidates, offers, signIns})
	c.AddCommand(p.signalCompareCommand())
	return c
}

// hubOptions parses the URL of a server, and refuses public addresses unless --i-own-this-server is
// given.
func hubOptions(ctx context.Context, address, protocol string, window int, t *target) (hubload.Options, error) {
	o := hubload.Options{Protocol: hubload.Protocol(protocol), Window: window}
	if address == "" {
		return o, errors.New("--url is missing")
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.Scheme != "ws" && u.Scheme != "wss" {
		return o, fmt.Errorf("--url %s: must be like ws://127.0.0.1:8080/ws", address)
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"ws": "80", "wss": "443"}[u.Scheme]
	}
	o.TLS, o.Host, o.Path = u.Scheme == "wss", u.Host, u.RequestURI()
	t.server = net.JoinHostPort(u.Hostname(), port)
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		t.ipv6 = a.Is6()
	}
	if o.Server, err = t.resolve(ctx); err != nil {
		return o, err
	}
	return o, o.Validate()
}
