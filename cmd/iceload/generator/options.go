// Package generator loads a TURN server and measures how it performs.
//
// A [Load] is a number of allocations, each with a permission and a channel, and their peers. It is
// set up, used for one or more phases of traffic, and torn down. A [Churn] creates and releases
// allocations instead.
//
// # How packets are sent
//
// Each slot of the schedule is one burst: some packets of one client in one direction, back to
// back. Slots are evenly spaced. They go through all clients and both directions, in a random order
// that is the same in every run. The thread sleeps between slots, but never for less than a tick,
// because waking up costs more than a packet does; all bursts that become due during a tick are
// sent together.
//
// The generator reads received packets once per millisecond, so no packet wakes it up. The cost of wake-ups would
// distort the measurement, because real clients do not run on the server's host. Reading late does not distort latency,
// because the kernel records when each datagram arrives. Over streams, the arrival time is when the generator reads,
// which is accurate to a tick.
//
// # How packets are counted
//
// Each packet carries its flow, number and time of sending (package tally). The generator waits for
// packets until none has arrived for quietPeriod, and counts the missing ones as lost. A packet is
// misdelivered if its source or destination is not the expected one. A generator that cannot keep
// its pace skips packets and reports how many; then the figures describe the generator and not the
// server.
//
// The work is divided among workers, which are threads that share nothing.
package generator

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"icebox/cmd/iceload/sockets"
	"icebox/cmd/iceload/tally"
	"icebox/cmd/iceload/turnclient"
)

// Direction is the direction in which packets are sent.
type Direction string

// The directions.
const (
	Up   Direction = "up"   // from clients to their peers
	Down Direction = "down" // from peers to clients
	Both Direction = "both" // half of the packets in each direction
)

// Directions returns all directions.
var Directions = []Direction{Up, Down, Both}

// Limits of the options.
const (
	MaxAllocations = 50_000
	MaxRate        = 5_000_000
	MinSize        = tally.MarkSize
	MaxSize        = 1472 // the longest payload in an Ethernet frame with IPv4 and UDP headers
	MaxBurst       = 64
	MaxWorkers     = 64
	MaxDuration    = 24 * time.Hour
)

// Options describe a load.
type Options struct {
	Server    netip.AddrPort
	Transport sockets.Transport
	// TLS is the configuration for clients over TLS and DTLS.
	TLS *tls.Config
	// Account returns the credential of an allocation.
	Account func(allocation int) turnclient.Account

	Allocations int
	Workers     int
	// Window is how many clients may wait for responses at the same time, over all workers.
	Window int
	// OwnSockets gives each UDP client a socket of its own.
	OwnSockets bool

	// PeerAddress is the first peer's address. Peers is how many peers the allocations share, at
	// most one per allocation.
	PeerAddress netip.Addr
	Peers       int

	// Rate is in packets per second, over both directions. Size is the payload's, in bytes. Burst
	// is how many packets of one flow are sent back to back.
	Rate, Size, Burst int
	Direction         Direction
	// Indications uses Send and Data indications instead of ChannelData. Then no channels are
	// bound.
	Indications bool
	// Segment sends each burst as one message (UDP_SEGMENT). Coalesce lets the kernel join
	// consecutive received datagrams (UDP_GRO).
	Segment, Coalesce bool
	// Tick is the shortest time between two sends.
	Tick time.Duration
}

// Validate returns an error that lists everything that is wrong with the options.
func (o *Options) Validate() error {
	bounds := []struct {
		name            string
		value, low, top int
	}{
		{"allocations", o.Allocations, 1, MaxAllocations},
		{"workers", o.Workers, 1, min(MaxWorkers, max(1, o.Allocations))},
		{"window", o.Window, 1, MaxAllocations},
		{"peers", o.Peers, 1, max(1, o.Allocations)},
		{"rate", o.Rate, 1, MaxRate},
		{"size", o.Size, MinSize, MaxSize},
		{"burst", o.Burst, 1, MaxBurst},
	}
	var errs []error
	for _, b := range bounds {
		if b.value < b.low || b.value > b.top {
			errs = append(errs, fmt.Errorf("%s is %d: must be %d to %d", b.name, b.value, b.low, b.top))
		}
	}
	if !slices.Contains(Directions, o.Direction) {
		errs = append(errs, fmt.Errorf("direction is %q: must be up, down or both", o.Direction))
	}
	if o.Segment && o.Transport != sockets.UDP {
		errs = append(errs, errors.New("segments work over UDP only"))
	}
	if o.PeerAddress.Is4() != o.Server.Addr().Is4() {
		errs = append(errs, fmt.Errorf("peer address %v and the server's address must be of the same family", o.PeerAddress))
	}
	if o.Tick < 0 || o.Tick > time.Second {
		errs = append(errs, fmt.Errorf("tick is %v: must be 0 to 1s", o.Tick))
	}
	return errors.Join(errs...)
}
