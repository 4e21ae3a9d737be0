package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"icebox/cmd/iceload/generator"
)

// trafficFlags are the flags that describe the packets to relay.
type trafficFlags struct {
	allocations, rate, size, burst int
	direction                      string
	channels, indications          bool
	gso, gro                       bool
	tick, duration, warmup         time.Duration
}

// defaultTick is this long because a wake-up can cost 20 µs in a virtual machine, as much as ten
// packets.
const defaultTick = 200 * time.Microsecond

func (p *program) turnCommand() *cobra.Command {
	var t target
	var f trafficFlags
	c := &cobra.Command{
		Use:   "turn",
		Short: "Relay packets: loss, latency, the server's CPU time per packet",
		Long: `Turn creates allocations, each with a permission and a channel to a peer, relays packets
at an even rate, and releases the allocations. Clients and peers are both in this process.

A packet counts as relayed when it has arrived at the other end. CPU time is per relayed packet.`,
		Example: `  iceload turn --server 127.0.0.1 --user u --password p --pid $(pidof turnserver) \
      --allocations 50 --rate 100000 --size 1000 --burst 8`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			plan, err := f.plan(c, &t)
			if err != nil {
				return err
			}
			server, err := t.openProcess()
			if err != nil {
				return err
			}
			report, err := p.measureTraffic(c.Context(), plan, server)
			if err != nil {
				return failed(err)
			}
			return failed(p.print(report))
		},
	}
	set := c.Flags()
	t.flags(set)
	set.IntVar(&t.peers, "peers", 0, "number of peers that the allocations share (0: one per allocation on the IPv4 loopback, a single one elsewhere)")
	set.IntVar(&f.allocations, "allocations", 50, "number of allocations")
	set.IntVar(&f.rate, "rate", 10_000, "packets per second in total, over both directions")
	set.IntVar(&f.size, "size", 160, "payload of a packet in bytes")
	set.IntVar(&f.burst, "burst", 1, "packets of one allocation in one direction that are sent back to back")
	set.StringVar(&f.direction, "direction", "both", "up (from clients to peers), down or both")
	set.BoolVar(&f.channels, "channels", true, "wrap packets in ChannelData")
	set.BoolVar(&f.indications, "indications", false, "wrap packets in Send and Data indications")
	set.BoolVar(&f.gso, "gso", false, "send each burst as one message (UDP_SEGMENT), which the server may receive as one")
	set.BoolVar(&f.gro, "gro", false, "receive bursts as one message (UDP_GRO), so that the kernel need not split what the server sends as one")
	set.DurationVar(&f.tick, "tick", defaultTick, "shortest time between two sends; bursts that become due in between are sent together")
	set.DurationVar(&f.duration, "duration", 10*time.Second, "how long to measure")
	set.DurationVar(&f.warmup, "warmup", time.Second, "how long to send before measuring")
	c.MarkFlagsMutuallyExclusive("channels", "indications")
	return c
}

// plan returns the run that the flags describe.
func (f *trafficFlags) plan(c *cobra.Command, t *target) (trafficPlan, error) {
	if f.duration <= 0 || f.duration > generator.MaxDuration || f.warmup < 0 || f.warmup > time.Minute {
		return trafficPlan{}, fmt.Errorf("--duration must be at most %v and --warmup at most 1m", generator.MaxDuration)
	}
	o, err := t.generatorOptions(c.Context(), f.allocations)
	if err != nil {
		return trafficPlan{}, err
	}
	o.Rate, o.Size, o.Burst, o.Tick = f.rate, f.size, f.burst, f.tick
	o.Direction = generator.Direction(f.direction)
	o.Indications = f.indications || !f.channels
	o.Segment, o.Coalesce = f.gso, f.gro
	return trafficPlan{o, f.warmup, f.duration}, o.Validate()
}
