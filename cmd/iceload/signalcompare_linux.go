package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"icebox/cmd/iceload/contender"
	"icebox/cmd/iceload/hubload"
	"icebox/cmd/iceload/procstat"
)

// overTLS is the suffix of a load that uses TLS.
const overTLS = "-tls"

// hubComparison describes one run of `iceload signal compare`.
type hubComparison struct {
	comparison
	loads     hubLoads
	icebox    []string
	node      string
	modules   string
	protocols []string
}

func (p *program) signalCompareCommand() *cobra.Command {
	var cmp hubComparison
	c := &cobra.Command{
		Use:   "compare",
		Short: "Run icebox and a Node.js signalling server alternately, and print the ratios",
		Long: `Compare starts each contender on 127.0.0.1, loads it as "iceload signal" does, and stops it before it starts
the next, for several rounds. It loads icebox in the classic protocol and in icebox's own. The reference is a
server of the classic protocol that uses Node.js and ws and is part of this program. The load idle gets a server
that was just started. Compare prints the median of each figure, with its minimum and maximum, and the median
ratio to the reference in the same round.

A load whose name ends with -tls uses TLS.`,
		Example: `  iceload signal compare --icebox ./icebox --modules deploy/e2e/node_modules
  iceload signal compare --icebox new=./icebox --icebox old=./icebox.old --protocols native --load candidate,idle-tls --rounds 3`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := cmp.prepare(); err != nil {
				return err
			}
			report, err := p.compare(c.Context(), &cmp.comparison)
			if report != nil {
				err = errors.Join(p.print(report), err)
			}
			return failed(err)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&cmp.icebox, "icebox", nil, "an icebox to compare, `[NAME=]PATH[:ARGS]` (repeatable)")
	f.StringVar(&cmp.node, "node", "node", "the Node.js that runs the reference server, `[NAME=]PATH[:ARGS]`; empty to compare icebox only")
	f.StringVar(&cmp.modules, "modules", "node_modules", "`directory` of node modules that contains ws")
	f.StringSliceVar(&cmp.protocols, "protocols", []string{string(hubload.Classic), string(hubload.Native)}, "protocols to load icebox in")
	f.IntVar(&cmp.rounds, "rounds", 3, "number of rounds")
	cmp.loads.flags(f, []string{candidates, offers, signIns, idle, idle + overTLS})
	return c
}

// prepare checks the flags and adds contenders and tests.
func (c *hubComparison) prepare() error {
	c.start = contender.Contender.StartSignalling
	c.address = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	names := c.loads.names
	for i, n := range names {
		c.loads.names[i] = strings.TrimSuffix(n, overTLS)
		c.tests = append(c.tests, hubTest(c, c.loads.names[i], strings.HasSuffix(n, overTLS)))
	}
	if c.rounds < 1 || c.rounds > maxRounds {
		return fmt.Errorf("--rounds must be 1 to %d", maxRounds)
	}
	if err := errors.Join(c.loads.validate(), c.addNode(), c.addIceboxes()); err != nil {
		return err
	}
	if len(c.contenders) == 0 {
		return errors.New("--icebox and --node are missing")
	}
	return nil
}

// addNode adds the Node.js server, which is the reference.
func (c *hubComparison) addNode() error {
	if c.node == "" {
		return nil
	}
	if err := c.addContenders(contender.Node, []string{c.node}); err != nil {
		return err
	}
	node := &c.contenders[0]
	node.Protocol = string(hubload.Classic)
	var err error
	if node.Path, err = exec.LookPath(node.Path); err != nil {
		return fmt.Errorf("--node: %w", err)
	}
	modules, err := filepath.Abs(c.modules)
	if err != nil {
		return err
	}
	if found, _ := filepath.Glob(filepath.Join(modules, "ws", "package.json")); len(found) == 0 {
		return fmt.Errorf("--modules: there is no ws in %s: install it there with npm, or use --node \"\"", modules)
	}
	c.env = []string{"NODE_PATH=" + modules, "NODE_ENV=production"}
	return nil
}

// addIceboxes adds each icebox once per protocol.
func (c *hubComparison) addIceboxes() error {
	var errs []error
	for _, text := range c.icebox {
		for _, protocol := range c.protocols {
			entrant, err := contender.Parse(contender.Icebox, text)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			entrant.Name, entrant.Protocol = entrant.Name+" "+protocol, protocol
			o := hubload.Options{Server: netip.AddrPortFrom(c.address, 1), Protocol: hubload.Protocol(protocol), Window: c.loads.window}
			errs = append(errs, o.Validate(), c.addContender(entrant))
		}
	}
	return errors.Join(errs...)
}

// hubTest returns the test that compares contenders by one load.
func hubTest(c *hubComparison, name string, secure bool) test {
	run := func(ctx context.Context, p *program, d time.Duration, server *contender.Server, process *procstat.Process) (sample, error) {
		o := hubload.Options{
			Server: server.Plain, TLS: secure, Path: "/ws", Protocol: hubload.Protocol(server.Protocol), Window: c.loads.window,
		}
		if secure {
			o.Server = server.Secure
		}
		loads := c.loads
		loads.names, loads.duration = []string{name}, d
		report, err := p.measureHub(ctx, o, &loads, process)
		if err != nil {
			return sample{}, err
		}
		if name == idle {
			return sample{Value: report.Idle.PerConnection}, nil
		}
		e := report.Loads[0]
		return sample{
			Value: e.CPU, P50: e.Latency.P50, P99: e.Latency.P99, Switches: e.Switches, GeneratorCPU: e.GeneratorCPU, Warnings: e.Warnings,
			Loss: 100 * ratio(float64(e.Sent-min(e.Sent, e.Received)), float64(e.Sent)),
		}, nil
	}
	t := test{name: c.loads.title(name), duration: c.loads.duration, unit: "us/message", needsFreshServer: name == idle, run: run}
	switch name {
	case idle:
		t.unit = "bytes/connection"
	case signIns:
		t.unit = "us/sign-in"
	}
	if secure {
		t.name += ", TLS"
	}
	return t
}

// title returns a description of a load.
func (l *hubLoads) title(name string) string {
	switch name {
	case idle:
		if len(l.counts) == 0 {
			return name
		}
		return fmt.Sprintf("idle, %d to %d connections", l.counts[0], l.counts[len(l.counts)-1])
	case signIns:
		return fmt.Sprintf("sign-ins, %d/s", l.signInRate)
	default:
		e := l.exchange(name)
		return fmt.Sprintf("%ss of %d B, %d/s, %d clients", name, e.Size, e.Rate, l.clients)
	}
}
