package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"icebox/cmd/iceload/contender"
	"icebox/cmd/iceload/generator"
	"icebox/cmd/iceload/procstat"
)

const (
	maxRounds = 100
	// warmUpRun is the duration of the first run after a server's start. The comparison ignores its result.
	warmUpRun = time.Second
)

// comparison describes one run of `iceload compare`.
type comparison struct {
	contenders   []contender.Contender
	reference    int
	tests        []test
	rounds       int
	address      netip.Addr
	peers        netip.Prefix // the network of the peers
	target       target       // the options that all runs share
	churn        bool
	memory       bool
	counts       []int
	trafficFlags trafficFlags // tick, duration and warm-up, which all rows share
	env          []string
	start        func(contender.Contender, context.Context, contender.Options) (*contender.Server, error)
}

func (p *program) compareCommand() *cobra.Command {
	cmp := comparison{start: contender.Contender.Start}
	var icebox, coturn, rows []string
	var set, reference, address string
	c := &cobra.Command{
		Use:   "compare",
		Short: "Run icebox and coturn alternately, and print the ratios",
		Example: `  iceload compare --icebox ./icebox --coturn /usr/bin/turnserver
  iceload compare --icebox ./icebox --coturn 4.17=/opt/turnserver \
      --coturn "4.17 gso=/opt/turnserver:--multiplex-peer --udp-gso" --set full --json
  # over IPv6, peers need an address other than the server's:
  ip -6 route add local fd00:1ceb::/64 dev lo
  iceload compare --icebox ./icebox --coturn /usr/bin/turnserver --address ::1 --peer-address fd00:1ceb::2`,
		Long: `Compare starts each contender on a loopback address, runs one test after the
other against it, and stops it before it starts the next. Every second round runs in
reverse order. The first run after each start does not count. Compare prints the median
of each figure, with its minimum and maximum, and the median ratio to the reference
in the same round. The reference is the first coturn (or, without one, the first contender),
unless --reference names another.

A contender is NAME=PATH:ARGS, where NAME= and :ARGS may be left out.
A row is KEY=VALUE,... with the keys name, transport, direction, size, burst, rate, allocations, peers,
indications, gso, gro. A key that is left out has the default of "iceload turn".`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			err := errors.Join(
				cmp.addContenders(contender.Icebox, icebox),
				cmp.addContenders(contender.Coturn, coturn),
				cmp.chooseReference(reference),
				cmp.addTests(set, rows),
				cmp.setAddress(address))
			if err != nil {
				return err
			}
			report, err := p.compare(c.Context(), &cmp)
			if report != nil {
				err = errors.Join(p.print(report), err)
			}
			return failed(err)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&icebox, "icebox", nil, "an icebox to compare, `[NAME=]PATH[:ARGS]` (repeatable)")
	f.StringArrayVar(&coturn, "coturn", nil, "a coturn to compare, `[NAME=]PATH[:ARGS]` (repeatable)")
	f.StringVar(&reference, "reference", "", "`name` of the contender that the others are compared with (default: the first coturn, or the first contender without one)")
	f.StringVar(&set, "set", "standard", "rows to run: standard (two rows), full (all transports and directions) or none")
	f.StringArrayVar(&rows, "row", nil, "an additional row, `KEY=VALUE,...` (repeatable)")
	f.BoolVar(&cmp.churn, "churn", false, "also compare churn")
	f.BoolVar(&cmp.memory, "memory", false, "also compare memory per allocation, each time on a server that was just started")
	f.IntSliceVar(&cmp.counts, "counts", []int{1000, 10_000}, "numbers of allocations at which to read the memory")
	f.IntVar(&cmp.rounds, "rounds", 5, "number of rounds")
	f.StringVar(&address, "address", "127.0.0.1", "loopback `address` that contenders listen on")
	f.StringVar(&cmp.target.peerAddress, "peer-address", "", "`address` of the first peer (default: 127.0.0.2, or ::1 in IPv6)")
	f.IntVar(&cmp.target.workers, "workers", 1, "threads of the generator")
	f.IntVar(&cmp.target.window, "window", 32, "clients that wait for a response at the same time; with --churn, concurrent clients")
	f.BoolVar(&cmp.target.ownSockets, "own-sockets", false, "give each UDP client a socket of its own")
	f.DurationVar(&cmp.trafficFlags.duration, "duration", 5*time.Second, "how long to measure each row")
	f.DurationVar(&cmp.trafficFlags.warmup, "warmup", 500*time.Millisecond, "how long to send before measuring")
	f.DurationVar(&cmp.trafficFlags.tick, "tick", defaultTick, "shortest time between two sends")
	return c
}

// addContenders adds contenders of a kind.
func (c *comparison) addContenders(kind contender.Kind, texts []string) error {
	var errs []error
	for _, text := range texts {
		entrant, err := contender.Parse(kind, text)
		errs = append(errs, err, c.addContender(entrant))
	}
	return errors.Join(errs...)
}

func (c *comparison) addContender(entrant contender.Contender) error {
	defer func() { c.contenders = append(c.contenders, entrant) }()
	if slices.ContainsFunc(c.contenders, func(o contender.Contender) bool { return o.Name == entrant.Name }) {
		return fmt.Errorf("two contenders are called %q: name them with NAME=PATH", entrant.Name)
	}
	return nil
}

// chooseReference finds the contender that the others are compared with.
func (c *comparison) chooseReference(name string) error {
	if len(c.contenders) == 0 {
		return errors.New("--icebox and --coturn are missing")
	}
	c.reference = max(0, slices.IndexFunc(c.contenders, func(o contender.Contender) bool { return o.Kind == contender.Coturn }))
	if name == "" {
		return nil
	}
	c.reference = slices.IndexFunc(c.contenders, func(o contender.Contender) bool { return o.Name == name })
	if c.reference < 0 {
		return fmt.Errorf("--reference: no contender is called %q", name)
	}
	return nil
}

// addTests adds the tests that the flags ask for.
func (c *comparison) addTests(set string, texts []string) error {
	if c.rounds < 1 || c.rounds > maxRounds || c.trafficFlags.duration <= 0 || c.trafficFlags.duration > generator.MaxDuration {
		return fmt.Errorf("--rounds must be 1 to %d and --duration at most %v", maxRounds, generator.MaxDuration)
	}
	rows, ok := rowSets[set]
	if !ok {
		return fmt.Errorf("--set is %q: must be standard, full or none", set)
	}
	rows = slices.Clone(rows)
	for _, text := range texts {
		r, err := parseRow(text)
		if err != nil {
			return err
		}
		rows = append(rows, r)
	}
	for _, r := range rows {
		c.tests = append(c.tests, trafficTest(c, r))
	}
	if c.churn {
		c.tests = append(c.tests, churnTest(c))
	}
	if c.memory {
		if len(c.counts) < 2 || !slices.IsSorted(c.counts) {
			return errors.New("--counts must be at least two numbers in ascending order")
		}
		c.tests = append(c.tests, memoryTest(c))
	}
	if len(c.tests) == 0 {
		return errors.New("there is nothing to compare")
	}
	return nil
}

// setAddress parses the address that the contenders listen on, and derives the peers' network.
func (c *comparison) setAddress(text string) error {
	a, err := netip.ParseAddr(text)
	if err == nil && !a.IsLoopback() {
		err = fmt.Errorf("%v is not a loopback address", a)
	}
	if err != nil {
		return fmt.Errorf("--address: %w", err)
	}
	c.address, c.target.ipv6 = a, a.Is6()
	c.target.user, c.target.password = contender.User, contender.Password
	peer, err := c.target.peer(netip.AddrPortFrom(a, 1))
	if err != nil {
		return err
	}
	bits := 8 // the whole loopback network
	if peer.Is6() {
		bits = 64
	}
	c.peers, err = peer.Prefix(bits)
	return err
}

// compare runs all rounds.
func (p *program) compare(ctx context.Context, c *comparison) (*compareReport, error) {
	results := newResults(c)
	for round := range c.rounds {
		order := make([]int, len(c.contenders))
		for i := range order {
			order[i] = i
			if round%2 == 1 {
				order[i] = len(order) - 1 - i
			}
		}
		for _, i := range order {
			for _, due := range c.testsPerStart() {
				p.runServer(ctx, c, serverStart{i, round, due}, results)
			}
		}
	}
	report, err := newCompareReport(c, results)
	return report, errors.Join(err, ctx.Err())
}

// interrupted is the error of runs that an interrupt prevented or ended.
const interrupted = "interrupted"

// serverStart is one start of a contender, with the tests to run against it.
type serverStart struct {
	contender, round int
	tests            []int
}

// testsPerStart groups the tests by start of a server: first all tests that can share one, then
// each test that needs a fresh server.
func (c *comparison) testsPerStart() (all [][]int) {
	var together []int
	for i, t := range c.tests {
		if t.needsFreshServer {
			all = append(all, []int{i})
		} else {
			together = append(together, i)
		}
	}
	if together != nil {
		all = slices.Insert(all, 0, together)
	}
	return all
}

// runServer starts a contender and runs tests against it. It stores failures in results.
func (p *program) runServer(ctx context.Context, c *comparison, start serverStart, results [][][]sample) {
	fail := func(err error) {
		for _, i := range start.tests {
			results[i][start.contender][start.round] = sample{Error: err.Error()}
		}
	}
	if ctx.Err() != nil {
		fail(errors.New(interrupted))
		return
	}
	dir, err := os.MkdirTemp("", "iceload-")
	if err != nil {
		fail(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	options := contender.Options{Address: c.address, Peers: c.peers, Dir: dir, Env: append(environment(), c.env...)}
	server, err := c.start(c.contenders[start.contender], ctx, options)
	if err != nil {
		fail(err)
		return
	}
	defer func() { _ = server.Stop() }()
	process, err := procstat.Open(server.PID())
	if err != nil {
		fail(err)
		return
	}
	if first := c.tests[start.tests[0]]; !first.needsFreshServer {
		first.duration = min(warmUpRun, first.duration)
		_, _ = p.quietly().runTest(ctx, first, server, process) // an error occurs again in the runs that count
	}
	for _, i := range start.tests {
		results[i][start.contender][start.round] = p.runAndReport(ctx, c, start, i, server, process)
	}
}

// runAndReport runs one test and prints its result as progress.
func (p *program) runAndReport(ctx context.Context, c *comparison, start serverStart, i int, server *contender.Server, process *procstat.Process) sample {
	t := c.tests[i]
	name := c.contenders[start.contender].Name
	s, err := p.quietly().runTest(ctx, t, server, process)
	if err != nil {
		if ctx.Err() != nil {
			err = errors.New(interrupted)
		}
		s = sample{Error: err.Error()}
		p.progress("round %d of %d, %s, %s: %v", start.round+1, c.rounds, name, t.name, err)
		return s
	}
	p.progress("round %d of %d, %s, %s: %.3f %s", start.round+1, c.rounds, name, t.name, s.Value, t.unit)
	return s
}

// runTest runs a test. If ctx has already ended, it returns the error interrupted.
func (p *program) runTest(ctx context.Context, t test, server *contender.Server, process *procstat.Process) (sample, error) {
	if ctx.Err() != nil {
		return sample{}, errors.New(interrupted)
	}
	return t.run(ctx, p, t.duration, server, process)
}

// quietly returns a copy of p that prints no progress.
func (p *program) quietly() *program {
	q := *p
	q.quiet = true
	return &q
}

// environment returns this program's environment without the variables that would configure icebox.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "ICEBOX_") })
}
