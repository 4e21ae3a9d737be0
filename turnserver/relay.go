package turnserver

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"icebox/turnserver/packetio"
	"icebox/turnserver/portpool"
	"icebox/turnserver/wire"
)

// relayPayload is the longest datagram taken from a peer. Longer ones, which can only
// arrive in IP fragments, jumbo frames or inside the process, are dropped and counted.
const relayPayload = 2048

// relay is a relayed transport address and its socket.
type relay struct {
	host       *relayHost
	conn       packetio.Conn
	advertised netip.AddrPort
	session    *session
	once       sync.Once // closing
}

// relays are the relayed transport addresses of a session: one, or one of each
// family (RFC 8656 section 7.2, ADDITIONAL-ADDRESS-FAMILY).
type relays [2]atomic.Pointer[relay]

func (r *relays) slot(f wire.Family) *atomic.Pointer[relay] { return &r[f-wire.IPv4] }

// of returns the relay of a family; nil without one.
func (r *relays) of(f wire.Family) *relay { return r.slot(f).Load() }

// all returns those there are, IPv4 first.
func (r *relays) all() []*relay {
	var list []*relay
	for i := range r {
		if x := r[i].Load(); x != nil {
			list = append(list, x)
		}
	}
	return list
}

// relayHost hands out the relayed transport addresses of one RelayAddr, and knows
// which of them are live.
type relayHost struct {
	RelayAddr
	ports PortRange
	pool  *portpool.Pool
	live  []atomic.Pointer[session] // by port - ports.Min
}

func newRelayHost(a RelayAddr, ports PortRange) *relayHost {
	return &relayHost{
		RelayAddr: a,
		ports:     ports,
		pool:      portpool.New(ports.Min, ports.Max, nil),
		live:      make([]atomic.Pointer[session], int(ports.Max)-int(ports.Min)+1),
	}
}

// at returns the slot of a port; nil outside of the range.
func (h *relayHost) at(port uint16) *atomic.Pointer[session] {
	if port < h.ports.Min || port > h.ports.Max {
		return nil
	}
	return &h.live[port-h.ports.Min]
}

var errNoPort = errors.New("no relay port is free")

// How many ports that another process holds are tried before giving up.
const bindAttempts = 32

// takePort takes the port of a relay from the pool.
type takePort func(*portpool.Pool) (port uint16, ok bool)

// listenRelay opens the socket of a relayed transport address.
type listenRelay func(netip.AddrPort) (packetio.Conn, error)

// listenUDP is the listenRelay of every server but some in tests.
func (s *Server) listenUDP(a netip.AddrPort) (packetio.Conn, error) {
	c, err := net.ListenUDP(network("udp", a.Addr()), net.UDPAddrFromAddrPort(a))
	if err != nil {
		return nil, err
	}
	return packetio.NewUDP(c, func() { s.drop(DropOversized) }), nil
}

// open binds a relay socket for sess to a port that take finds. undo gives back
// what a port took beside itself, when another process holds it; it may be nil.
func (h *relayHost) open(sess *session, take takePort, undo func(port uint16), listen listenRelay) (*relay, error) {
	var last error
	for range bindAttempts {
		port, ok := take(h.pool)
		if !ok {
			return nil, errNoPort
		}
		conn, err := listen(netip.AddrPortFrom(h.Local, port))
		if err == nil {
			return &relay{host: h, conn: conn, advertised: netip.AddrPortFrom(h.Advertised, port), session: sess}, nil
		}
		h.pool.Put(port)
		if undo != nil {
			undo(port)
		}
		last = err
	}
	return nil, fmt.Errorf("%w: %w", errNoPort, last)
}

// network returns "udp4" or "udp6" for base "udp", by the family of a.
func network(base string, a netip.Addr) string {
	if a.Is4() {
		return base + "4"
	}
	return base + "6"
}

// publish makes the relayed address reachable from inside the process.
func (r *relay) publish() { r.host.at(r.advertised.Port()).Store(r.session) }

// close frees the socket and the port, once.
func (r *relay) close() {
	r.once.Do(func() {
		port := r.advertised.Port()
		r.host.at(port).CompareAndSwap(r.session, nil)
		_ = r.conn.Close() // a UDP socket has nothing left to lose
		r.host.pool.Put(port)
	})
}

// liveRelay returns the session that owns the relayed transport address a, in its
// private or its external form; own tells whether the address is one of the
// daemon's relay addresses at all.
func (s *Server) liveRelay(a netip.AddrPort) (sess *session, own bool) {
	h, own := s.hosts[a.Addr()]
	if !own {
		return nil, false
	}
	slot := h.at(a.Port())
	if slot == nil {
		return nil, true
	}
	return slot.Load(), true
}

// relayHost picks the address for a client that reached local and asks for family.
// Without a family (0) it is IPv4 (RFC 8656 section 7.2), or IPv6 on a host that has nothing else.
func (s *Server) relayHost(local netip.Addr, family wire.Family) *relayHost {
	if family == 0 {
		if h := s.relayHost(local, wire.IPv4); h != nil {
			return h
		}
		family = wire.IPv6
	}
	if h, ok := s.hosts[local]; ok && h.Local == local && wire.FamilyOf(local) == family {
		return h
	}
	for _, a := range s.opts.RelayAddrs {
		if wire.FamilyOf(a.Local) == family && a.Local.IsLoopback() == local.IsLoopback() {
			return s.hosts[a.Local]
		}
	}
	for _, a := range s.opts.RelayAddrs {
		if wire.FamilyOf(a.Local) == family {
			return s.hosts[a.Local]
		}
	}
	return nil
}

// readRelay carries what peers send to r until its socket is closed.
func (s *Server) readRelay(r *relay) {
	p := packetio.NewPacket(relayPayload)
	batch := p.Alone()
	for {
		n, err := r.conn.ReadBatch(batch)
		if err != nil {
			return
		}
		for _, p := range batch[:n] {
			s.deliver(r.session, p, p.Addr, false)
		}
	}
}
