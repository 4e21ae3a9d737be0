// Package generator loads a TURN server and measures what it does.
//
// A [Load] is a number of allocations with a permission and a channel each, and
// their peers; it is set up, used for one or more phases of traffic, and torn down. [Churn]
// makes and releases allocations instead.
//
// # How packets are made
//
// Traffic is divided into slots of one burst: some packets of one client in one
// direction, back to back. Slots follow each other at an even pace, over all clients and
// both directions in turn, in a fixed random order. The thread sleeps in between, but
// never for less than a tick, because waking up costs more than a packet does; all
// slots that a tick makes due leave together. What has arrived is fetched every
// millisecond, so that no packet wakes the generator up: on a real server's host there
// is nobody to be woken either. Latency does not suffer, as the kernel notes when each
// datagram arrives; over streams it is when the generator reads, to the tick.
//
// # What is counted
//
// Each packet carries its flow, number and time (package tally). A packet is lost if
// it has not come when nothing has come for a while after the last was sent, and it is
// misdelivered if it comes to, or from, another address than it should. A generator
// that can't keep its pace skips packets and says so: such figures are of the
// generator, not of the server.
//
// Work is divided among workers, threads that share nothing.
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

// Direction is which way packets go.
type Direction string

// The directions.
const (
	Up   Direction = "up"   // from clients to their peers
	Down Direction = "down" // from peers to clients
	Both Direction = "both" // half of the packets each dir
)

// Directions are all of them.
var Directions = []Direction{Up, Down, Both}

// Bounds of the options.
const (
	MaxAllocations = 50_000
	MaxRate        = 5_000_000
	MinSize        = tally.MarkSize
	MaxSize        = 1472 // what an Ethernet frame holds
	MaxBurst       = 64
	MaxWorkers     = 64
	MaxDuration    = 24 * time.Hour
)

// Options describe a load.
type Options struct {
	Server    netip.AddrPort
	Transport sockets.Transport
	// TLS configures clients over TLS and DTLS.
	TLS *tls.Config
	// Account is what each allocation signs in with.
	Account func(allocation int) turnclient.Account

	Allocations int
	Workers     int
	// Window is how many requests are under way at a time, in all.
	Window int
	// OwnSockets gives each UDP client a socket of its own.
	OwnSockets bool

	// PeerAddress is the first peer's; Peers is how many the allocations share, at most one each.
	PeerAddress netip.Addr
	Peers       int

	// Rate is in packets per second, both directions together. Size is of the
	// payload in bytes. Burst is how many packets of one flow follow each other.
	Rate, Size, Burst int
	Direction         Direction
	// Indications are sent instead of ChannelData, and no channels are bound.
	Indications bool
	// Segment sends bursts as one (UDP_SEGMENT), Coalesce takes runs as one (UDP_GRO).
	Segment, Coalesce bool
	// Tick is the least time between two sends.
	Tick time.Duration
}

// Validate reports everything that is wrong with the options.
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
		errs = append(errs, errors.New("segments are for UDP"))
	}
	if o.PeerAddress.Is4() != o.Server.Addr().Is4() {
		errs = append(errs, fmt.Errorf("peer address %v is not of the server's family", o.PeerAddress))
	}
	if o.Tick < 0 || o.Tick > time.Second {
		errs = append(errs, fmt.Errorf("tick is %v: must be 0 to 1s", o.Tick))
	}
	return errors.Join(errs...)
}
