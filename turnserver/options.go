package turnserver

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"icebox/turnserver/credential"
	"icebox/turnserver/peer"
)

// Transport is how a client reaches the server (RFC 8656 section 3.1).
type Transport uint8

// The four client transports.
const (
	UDP Transport = iota
	TCP
	TLS
	DTLS
)

// Transports lists them all.
func Transports() []Transport { return []Transport{UDP, TCP, TLS, DTLS} }

// String returns "udp", "tcp", "tls" or "dtls".
func (t Transport) String() string { return [...]string{"udp", "tcp", "tls", "dtls"}[t] }

// RelayAddr is an address that relayed transport addresses are made from.
type RelayAddr struct {
	// Local is the address of an interface; relay sockets are bound to it.
	Local netip.Addr
	// Advertised is what clients and peers see: the public side of a 1:1 NAT, or Local itself.
	Advertised netip.Addr
}

// PortRange is an inclusive range of UDP ports.
type PortRange struct{ Min, Max uint16 }

// Options are fixed when a Server is built.
type Options struct {
	// Realm of the long-term credentials, 1 to 127 bytes (RFC 8489 section 14.9).
	Realm string
	// RelayAddrs has at least one entry. A client gets the entry whose Local is the
	// address it reached, else the first of the family it asked for. Loopback entries beside
	// others are for clients that reached a loopback address alone.
	RelayAddrs []RelayAddr
	// RelayPorts is the range of relayed ports, 49152 to 65535 if zero (RFC 8656 section 7.2).
	RelayPorts PortRange
	// GetCertificate is asked for the certificate of each TLS or DTLS handshake; nil: neither is served.
	GetCertificate func() (*tls.Certificate, error)
	// Workers is how many goroutines carry UDP packets at most, each with sockets of its own; 0: one for each of
	// GOMAXPROCS. Fewer do as long as they can. They are in system calls most of the time, so more of
	// GOMAXPROCS than workers are of use to everything else.
	Workers int
	// MaxSessionAge ends a session at the refresh that finds it older; 0: 24 h.
	MaxSessionAge time.Duration
	// Logger gets a line for each session that ends, 20 a second at most; nil: no logs.
	Logger *slog.Logger
	// Registerer gets the metrics; nil: none are registered.
	Registerer prometheus.Registerer
}

func (o *Options) setDefaults() {
	if o.RelayPorts == (PortRange{}) {
		o.RelayPorts = PortRange{Min: 49152, Max: 65535}
	}
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.MaxSessionAge == 0 {
		o.MaxSessionAge = 24 * time.Hour
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

func (o *Options) validate() error {
	var errs []error
	if o.Realm == "" || len(o.Realm) > 127 {
		errs = append(errs, errors.New("realm must have 1 to 127 bytes"))
	}
	if o.RelayPorts.Min == 0 || o.RelayPorts.Min > o.RelayPorts.Max {
		errs = append(errs, fmt.Errorf("relay ports %d-%d are no range", o.RelayPorts.Min, o.RelayPorts.Max))
	}
	if len(o.RelayAddrs) == 0 {
		errs = append(errs, errors.New("no relay address"))
	}
	seen := make(map[netip.Addr]bool)
	for _, a := range o.RelayAddrs {
		if !concrete(a.Local) || !concrete(a.Advertised) || a.Local.Is4() != a.Advertised.Is4() {
			errs = append(errs, fmt.Errorf("relay address %v, advertised as %v: not two addresses of one family", a.Local, a.Advertised))
		}
		if seen[a.Local] || a.Advertised != a.Local && seen[a.Advertised] {
			errs = append(errs, fmt.Errorf("relay address %v, advertised as %v: named twice", a.Local, a.Advertised))
		}
		seen[a.Local], seen[a.Advertised] = true, true
	}
	return errors.Join(errs...)
}

// concrete tells whether a is the address of one host, in the form that a packet has it.
func concrete(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && !a.Is4In6() && a.Zone() == ""
}

// Limits may be replaced while the server runs, see [Server.SetLimits]. In numbers, 0 means the default named here; none may be negative.
type Limits struct {
	// Credentials verifies who may allocate. It must not be nil.
	Credentials *credential.Verifier
	// Peers are the operator's peer rules.
	Peers []peer.Rule
	// OwnAddrs are the host's addresses, interface and external ones. Peers there are denied, but for live relayed addresses.
	OwnAddrs []netip.Addr

	// AllocationsPerUser (60), AllocationsPerAddr (120; an address is a /64 in IPv6) and
	// AllocationsTotal (as many as there are relay ports) bound live allocations: 486, and 508
	// for the total. The limit for an address holds for the client's own, and again for
	// the one that its credential was minted for.
	AllocationsPerUser, AllocationsPerAddr, AllocationsTotal int
	// Permissions (64) and Channels (64) bound what one allocation may hold: 508.
	Permissions, Channels int
	// StrictChannels refuses channel numbers above 0x4FFF (RFC 8656 section 12); else those
	// of RFC 5766 up to 0x7FFF are taken too.
	StrictChannels bool
	// Bandwidth in bytes of payload a second, in each direction, for each allocation,
	// each user, each address (counted as allocations are) and the whole server; 0: no limit. What is more is dropped.
	BandwidthPerAllocation, BandwidthPerUser, BandwidthPerAddr, Bandwidth int
	// RepliesPerPrefix (50) and Replies (25,000) bound the answers a second to UDP requests
	// that have not shown that their source address is theirs, see package limit.
	RepliesPerPrefix, Replies int
	// AlternateServers, one for each address family, are where a draining server sends
	// clients that would allocate: 300, before they authenticate. Without one of its family a client gets 401
	// as always, and 508 once it has authenticated.
	AlternateServers []netip.AddrPort
	// StreamsTotal (10,000) and StreamsPerAddr (250) bound TCP, TLS and DTLS connections. At
	// the total, a newcomer takes the place of one without an allocation.
	StreamsTotal, StreamsPerAddr int
}

// bound is one of the numbers in Limits.
type bound struct {
	name     string
	value    *int
	standard int // what 0 means
}

func (l *Limits) bounds(ports PortRange) []bound {
	return []bound{
		{"allocations per user", &l.AllocationsPerUser, 60},
		{"allocations per address", &l.AllocationsPerAddr, 120},
		{"allocations", &l.AllocationsTotal, int(ports.Max) - int(ports.Min) + 1},
		{"permissions", &l.Permissions, 64},
		{"channels", &l.Channels, 64},
		{"bandwidth per allocation", &l.BandwidthPerAllocation, 0},
		{"bandwidth per user", &l.BandwidthPerUser, 0},
		{"bandwidth per address", &l.BandwidthPerAddr, 0},
		{"bandwidth", &l.Bandwidth, 0},
		{"replies per prefix", &l.RepliesPerPrefix, 50},
		{"replies", &l.Replies, 25000},
		{"streams", &l.StreamsTotal, 10000},
		{"streams per address", &l.StreamsPerAddr, 250},
	}
}

// limits are Limits in the form that requests and packets are checked against.
type limits struct {
	Limits
	peers        *peer.Policy
	anyBandwidth bool // any limit of bandwidth
}

func newLimits(l Limits, o *Options) (*limits, error) {
	if l.Credentials == nil {
		return nil, errors.New("limits have no credential verifier")
	}
	var errs []error
	for _, r := range l.Peers {
		errs = append(errs, r.Validate())
	}
	for _, b := range l.bounds(o.RelayPorts) {
		switch {
		case *b.value < 0:
			errs = append(errs, fmt.Errorf("limit of %s: %d is negative", b.name, *b.value))
		case *b.value == 0:
			*b.value = b.standard
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	own := append([]netip.Addr(nil), l.OwnAddrs...)
	for _, a := range o.RelayAddrs {
		own = append(own, a.Local, a.Advertised)
	}
	return &limits{
		Limits:       l,
		peers:        peer.NewPolicy(l.Peers, own),
		anyBandwidth: max(l.BandwidthPerAllocation, l.BandwidthPerUser, l.BandwidthPerAddr, l.Bandwidth) > 0,
	}, nil
}
