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

// Transport is the transport between a client and the server (RFC 8656 section 3.1).
type Transport uint8

// The four client transports.
const (
	UDP Transport = iota
	TCP
	TLS
	DTLS
)

// Transports returns all transports.
func Transports() []Transport { return []Transport{UDP, TCP, TLS, DTLS} }

// String returns "udp", "tcp", "tls" or "dtls".
func (t Transport) String() string { return [...]string{"udp", "tcp", "tls", "dtls"}[t] }

// RelayAddr is an IP address for relayed transport addresses.
type RelayAddr struct {
	// Local is the address of an interface; relay sockets are bound to it.
	Local netip.Addr
	// Advertised is the address that clients and peers see: the public address of a 1:1 NAT, or Local itself.
	Advertised netip.Addr
}

// PortRange is an inclusive range of UDP ports.
type PortRange struct{ Min, Max uint16 }

// Options are fixed when a Server is built.
type Options struct {
	// Realm of the long-term credentials, 1 to 127 bytes (RFC 8489 section 14.9).
	Realm string
	// RelayAddrs has at least one entry. A client gets the entry whose Local is the address that it sent to, or else the
	// first one of the family it asked for. If there are other entries, only clients that sent to a loopback address get
	// a loopback entry.
	RelayAddrs []RelayAddr
	// RelayPorts is the range of relayed ports, 49152 to 65535 if zero (RFC 8656 section 7.2).
	RelayPorts PortRange
	// GetCertificate returns the certificate for a TLS or DTLS handshake. If it is nil, the server serves neither TLS
	// nor DTLS.
	GetCertificate func() (*tls.Certificate, error)
	// Workers is the greatest number of goroutines that relay UDP packets; 0 means GOMAXPROCS. Each of them has its own
	// sockets. At low load fewer of them run. They spend most of their time in system calls. If GOMAXPROCS is above
	// Workers, the difference is left for all other goroutines.
	Workers int
	// MaxSessionAge is the age at which the next refresh ends a session; 0 means 24 h.
	MaxSessionAge time.Duration
	// Logger gets a line for each session that ends, at most 20 a second. If it is nil, nothing is logged.
	Logger *slog.Logger
	// Registerer registers the metrics. If it is nil, there are none.
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
		errs = append(errs, fmt.Errorf("relay ports %d-%d are not a range", o.RelayPorts.Min, o.RelayPorts.Max))
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

// concrete reports whether a is the address of one host, in the form that a packet contains.
func concrete(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && !a.Is4In6() && a.Zone() == ""
}

// Limits may be replaced while the server runs, see [Server.SetLimits]. A number of 0 means the default named in its comment. No
// number may be negative.
type Limits struct {
	// Credentials verifies credentials. It must not be nil.
	Credentials *credential.Verifier
	// Peers are the operator's peer rules.
	Peers []peer.Rule
	// OwnAddrs are the interface addresses and external addresses of the host. The server denies peers at these
	// addresses, except at its own live relayed addresses.
	OwnAddrs []netip.Addr

	// AllocationsPerUser (60), AllocationsPerAddr (120; an address is a /64 in IPv6) and AllocationsTotal (the number of
	// relay ports) limit live allocations. Above them an Allocate gets 486, or 508 for the total. The limit for an address
	// applies to the client's address, and also to the address that its credential was minted for.
	AllocationsPerUser, AllocationsPerAddr, AllocationsTotal int
	// Permissions (64) and Channels (64) limit one allocation. Above them a request gets 508.
	Permissions, Channels int
	// StrictChannels refuses channel numbers above 0x4FFF (RFC 8656 section 12). Without it, numbers up to 0x7FFF are
	// accepted, which RFC 5766 allowed.
	StrictChannels bool
	// The bandwidth of each allocation, each user, each address and the whole server is limited to this number of
	// payload bytes per second in each direction. Addresses are counted as for allocations. 0 means no limit. The
	// server drops packets above a limit.
	BandwidthPerAllocation, BandwidthPerUser, BandwidthPerAddr, Bandwidth int
	// RepliesPerPrefix (50) and Replies (25,000) limit the replies per second to UDP requests whose source address may be
	// forged, see package limit.
	RepliesPerPrefix, Replies int
	// AlternateServers has at most one address of each family. A draining server redirects new clients there (300), in
	// response to their first, unsigned Allocate. A client gets 401 and then 508 if no entry has the family of its
	// address.
	AlternateServers []netip.AddrPort
	// StreamsTotal (10,000) and StreamsPerAddr (250) limit TCP, TLS and DTLS connections. When there are StreamsTotal
	// connections, a new one replaces one that has no allocation.
	StreamsTotal, StreamsPerAddr int
}

// bound is one of the numbers in Limits.
type bound struct {
	name     string
	value    *int
	standard int // the value that 0 stands for
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

// limits are Limits prepared for the checks of requests and packets.
type limits struct {
	Limits
	peers        *peer.Policy
	anyBandwidth bool // at least one bandwidth limit is set
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
