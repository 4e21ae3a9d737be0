package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"icebox/cmd/iceload/contender"
	"icebox/cmd/iceload/generator"
	"icebox/cmd/iceload/procstat"
	"icebox/cmd/iceload/sockets"
)

// test is one measurement by which contenders are compared.
type test struct {
	name, unit string
	// needsFreshServer tests run on a server that has just been started.
	needsFreshServer bool
	duration         time.Duration
	run              func(context.Context, *program, time.Duration, *contender.Server, *procstat.Process) (sample, error)
}

// sample is the result of one run of a test. Value is in the test's unit. Fields that do not apply
// to the test are zero.
type sample struct {
	Value        float64  `json:"value"`
	P50          float64  `json:"p50_us,omitempty"`
	P99          float64  `json:"p99_us,omitempty"`
	Loss         float64  `json:"loss_percent"`
	Switches     float64  `json:"switches_per_packet,omitempty"`
	GeneratorCPU float64  `json:"generator_cpu_us,omitempty"`
	Warnings     []string `json:"warnings,omitempty"`
	Error        string   `json:"error,omitempty"`
}

// row describes traffic to compare contenders by.
type row struct {
	name, transport, direction            string
	size, burst, rate, allocations, peers int
	indications, gso, gro                 bool
}

// Rows that resemble video (bursts of packets near the MTU) and audio.
var (
	video = row{transport: "udp", direction: "both", size: 1000, burst: 8, allocations: 50, rate: 100_000}
	audio = row{transport: "udp", direction: "both", size: 160, burst: 1, allocations: 200, rate: 50_000}
)

func (r row) withTransport(transport string, rate int) row {
	r.transport, r.rate = transport, rate
	return r
}
func (r row) withDirection(direction string) row { r.direction = direction; return r }

// rowSets are the values of --set.
var rowSets = map[string][]row{
	"none":     nil,
	"standard": {video, audio},
	"full": {
		video, video.withDirection("up"), video.withDirection("down"),
		{transport: "udp", direction: "both", size: 1000, burst: 8, allocations: 50, rate: 100_000, gso: true, gro: true},
		audio, audio.withDirection("up"), audio.withDirection("down"),
		{transport: "udp", direction: "both", size: 160, burst: 1, allocations: 200, rate: 50_000, peers: 1},
		{transport: "udp", direction: "both", size: 160, burst: 1, allocations: 200, rate: 50_000, indications: true},
		{transport: "udp", direction: "both", size: 200, burst: 4, allocations: 100, rate: 200_000},
		video.withTransport("tcp", 50_000), audio.withTransport("tcp", 20_000),
		video.withTransport("tls", 25_000), audio.withTransport("tls", 10_000),
	},
}

// parseRow parses KEY=VALUE,...
func parseRow(text string) (row, error) {
	r := audio
	r.allocations, r.rate = 50, 10_000
	texts := map[string]*string{"name": &r.name, "transport": &r.transport, "direction": &r.direction}
	numbers := map[string]*int{"size": &r.size, "burst": &r.burst, "rate": &r.rate, "allocations": &r.allocations, "peers": &r.peers}
	flags := map[string]*bool{"indications": &r.indications, "gso": &r.gso, "gro": &r.gro}
	for entry := range strings.SplitSeq(text, ",") {
		key, value, given := strings.Cut(strings.TrimSpace(entry), "=")
		var err error
		switch {
		case texts[key] != nil:
			*texts[key] = value
		case numbers[key] != nil:
			*numbers[key], err = strconv.Atoi(value)
		case flags[key] != nil && !given:
			*flags[key] = true
		case flags[key] != nil:
			*flags[key], err = strconv.ParseBool(value)
		default:
			err = fmt.Errorf("unknown key")
		}
		if err != nil {
			return r, fmt.Errorf("--row: %q: %w", entry, err)
		}
	}
	return r, nil
}

// title returns the row's name, or else a description of its traffic.
func (r row) title() string {
	if r.name != "" {
		return r.name
	}
	t := fmt.Sprintf("%d B x %d, %s, %s, %d allocations, %d pps", r.size, r.burst, r.direction, r.transport, r.allocations, r.rate)
	if r.peers > 0 {
		t += fmt.Sprintf(", %d peers", r.peers)
	}
	for _, o := range []struct {
		on   bool
		name string
	}{{r.indications, "indications"}, {r.gso, "gso"}, {r.gro, "gro"}} {
		if o.on {
			t += ", " + o.name
		}
	}
	return t
}

// optionsFor returns the generator's options for a run against server.
func (c *comparison) optionsFor(ctx context.Context, server *contender.Server, transport string, allocations, peers int) (generator.Options, error) {
	t := c.target
	t.server, t.transport, t.peers = server.Plain.String(), transport, peers
	if transport == string(sockets.TLS) || transport == string(sockets.DTLS) {
		t.server = server.Secure.String()
	}
	return t.generatorOptions(ctx, allocations)
}

// trafficTest returns the test that compares the CPU time per relayed packet.
func trafficTest(c *comparison, r row) test {
	run := func(ctx context.Context, p *program, d time.Duration, server *contender.Server, process *procstat.Process) (sample, error) {
		o, err := c.optionsFor(ctx, server, r.transport, r.allocations, r.peers)
		if err != nil {
			return sample{}, err
		}
		o.Rate, o.Size, o.Burst, o.Tick = r.rate, r.size, r.burst, c.trafficFlags.tick
		o.Direction = generator.Direction(r.direction)
		o.Indications, o.Segment, o.Coalesce = r.indications, r.gso, r.gro
		report, err := p.measureTraffic(ctx, trafficPlan{o, c.trafficFlags.warmup, d}, process)
		if err != nil {
			return sample{}, err
		}
		latency := report.latency()
		return sample{
			Value: report.Server.CPUPerPacket, Switches: report.Server.SwitchesPerPacket,
			P50: latency.P50, P99: latency.P99, Loss: report.Relayed.LossPercent,
			GeneratorCPU: report.Generator.CPUPerPacket, Warnings: report.Warnings,
		}, nil
	}
	return test{name: r.title(), unit: "us/packet", duration: c.trafficFlags.duration, run: run}
}

// churnTest returns the test that compares the CPU time per cycle.
func churnTest(c *comparison) test {
	run := func(ctx context.Context, p *program, d time.Duration, server *contender.Server, process *procstat.Process) (sample, error) {
		o, err := c.optionsFor(ctx, server, string(sockets.UDP), c.target.window, 0)
		if err != nil {
			return sample{}, err
		}
		report, err := p.measureChurn(ctx, churnPlan{o, d, maxCycles}, process)
		if err != nil {
			return sample{}, err
		}
		s := sample{Value: report.Process.CPUPerCycle, P50: report.Cycle.P50, P99: report.Cycle.P99, GeneratorCPU: report.GeneratorCPU}
		for _, f := range report.Failures {
			s.Warnings = append(s.Warnings, f.String())
		}
		return s, nil
	}
	return test{name: fmt.Sprintf("churn, udp, %d clients at a time", c.target.window), unit: "us/cycle", duration: c.trafficFlags.duration, run: run}
}

// memoryTest returns the test that compares the memory per allocation.
func memoryTest(c *comparison) test {
	run := func(ctx context.Context, p *program, _ time.Duration, server *contender.Server, process *procstat.Process) (sample, error) {
		o, err := c.optionsFor(ctx, server, string(sockets.UDP), c.counts[len(c.counts)-1], 0)
		if err != nil {
			return sample{}, err
		}
		report, err := p.measureMemory(ctx, o, c.counts, process)
		if err != nil {
			return sample{}, err
		}
		return sample{Value: report.PerAllocation}, nil
	}
	name := fmt.Sprintf("memory, udp, %d to %d allocations", c.counts[0], c.counts[len(c.counts)-1])
	return test{name: name, unit: "bytes/allocation", needsFreshServer: true, run: run}
}
