package turnserver

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"

	"icebox/turnserver/packetio"
	"icebox/turnserver/portpool"
	"icebox/turnserver/wire"
)

// relayPayload is the longest datagram in bytes that is relayed from a peer. Longer ones are dropped and counted. They can
// arrive only in IP fragments, in jumbo frames, or from another allocation of this process.
const relayPayload = 2048

// relay is a relayed transport address and its socket.
type relay struct {
	server     *Server
	host       *relayHost
	conn       packetio.Socket
	advertised netip.AddrPort
	session    *session
}

// relays are the relayed transport addresses of a session: one, or one of each family if the client asked for an additional
// one (RFC 8656 section 7.2).
type relays [2]atomic.Pointer[relay]

func (r *relays) pointer(f wire.Family) *atomic.Pointer[relay] { return &r[f-wire.IPv4] }

// of returns the relay of a family, or nil if there is none.
func (r *relays) of(f wire.Family) *relay { return r.pointer(f).Load() }

// all returns the relays that exist, IPv4 first.
func (r *relays) all() []*relay {
	var list []*relay
	for i := range r {
		if x := r[i].Load(); x != nil {
			list = append(list, x)
		}
	}
	return list
}

// relayHost manages the relayed transport addresses of one RelayAddr: the free ports, and the sessions of the live ones.
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

// at returns the pointer to the live session of a port, or nil if the port is outside the range.
func (h *relayHost) at(port uint16) *atomic.Pointer[session] {
	if port < h.ports.Min || port > h.ports.Max {
		return nil
	}
	return &h.live[port-h.ports.Min]
}

var errNoPort = errors.New("no relay port is free")

// bindAttempts is how many ports the server tries to bind before it gives up. A bind fails if another process uses the
// port.
const bindAttempts = 32

// takePort takes a port for a relay socket, normally from the pool.
type takePort func(*portpool.Pool) (port uint16, ok bool)

// openRelay opens a relay socket of h for sess on a port that take returns. If another process uses that port,
// openRelay puts it back, calls undo, and tries again. undo frees any further port that take has taken.
func (s *Server) openRelay(h *relayHost, sess *session, take takePort, undo func()) (*relay, error) {
	var last error
	for range bindAttempts {
		port, ok := take(h.pool)
		if !ok {
			return nil, errNoPort
		}
		r := &relay{server: s, host: h, advertised: netip.AddrPortFrom(h.Advertised, port), session: sess}
		var err error
		r.conn, err = s.io.Listen(netip.AddrPortFrom(h.Local, port), sess.path.worker(), relayPayload, r)
		if err == nil {
			return r, r.start()
		}
		h.pool.Put(port)
		undo()
		last = err
	}
	return nil, fmt.Errorf("%w: %w", errNoPort, last)
}

// start starts reading from peers. All their packets are dropped until there is a permission.
func (r *relay) start() error {
	err := r.conn.Start()
	if err != nil {
		r.close()
	}
	return err
}

// publish makes the relayed address reachable from inside the process.
func (r *relay) publish() { r.host.at(r.advertised.Port()).Store(r.session) }

// close closes the relayed address. Further calls do nothing.
func (r *relay) close() {
	r.host.at(r.advertised.Port()).CompareAndSwap(r.session, nil)
	_ = r.conn.Close() // closing a UDP socket loses nothing
}

// Receive implements packetio.Receiver for packets from peers.
func (r *relay) Receive(p *packetio.Packet) { r.server.deliver(r.session, p, p.Addr, false) }

// Oversized implements packetio.Receiver.
func (r *relay) Oversized() { r.server.countDrop(DropOversized) }

// Lost implements packetio.Receiver.
func (r *relay) Lost(n int) { r.server.countDrops(DropPeerWrite, n) }

// Closed implements packetio.Receiver.
func (r *relay) Closed() { r.host.pool.Put(r.advertised.Port()) }

// liveRelay returns the session whose relayed transport address is a, or nil if there is none. a is the local or the
// advertised form of the address. own reports whether the IP address is one of this server's relay addresses at all.
func (s *Server) liveRelay(a netip.AddrPort) (sess *session, own bool) {
	h, own := s.hosts[a.Addr()]
	if !own {
		return nil, false
	}
	live := h.at(a.Port())
	if live == nil {
		return nil, true
	}
	return live.Load(), true
}

// relayHost picks the address for a client that reached local and asks for family. If family is 0, it picks IPv4 (RFC
// 8656 section 7.2). If there is no IPv4 address for this client, it picks IPv6 instead of nothing, because browsers
// never name a family. It returns nil if there is no address of the family.
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
		if wire.FamilyOf(a.Local) == family && (!a.Local.IsLoopback() || s.onlyLoopback) {
			return s.hosts[a.Local]
		}
	}
	return nil
}

// onlyLoopback reports whether all addrs are loopback addresses, as in tests and demonstrations on one host. Otherwise
// the loopback addresses are only for clients that reached one, because the peers of other clients cannot send to them.
func onlyLoopback(addrs []RelayAddr) bool {
	return !slices.ContainsFunc(addrs, func(a RelayAddr) bool { return !a.Local.IsLoopback() })
}
