package sockets

import (
	"errors"
	"fmt"
	"net/netip"

	"icebox/cmd/iceload/batch"
)

// PeersOptions describe the peers.
type PeersOptions struct {
	// FirstAddr is the first peer's address. On the IPv4 loopback the peers have consecutive
	// addresses from it and share a socket. Elsewhere they all have this address, and differ by
	// port.
	FirstAddr netip.Addr
	// Count is the number of peers.
	Count int
	// Clients is the number of clients that they exchange packets with.
	Clients int
	// PacketSize is the length in bytes of the longest packet.
	PacketSize int
	// Segment sends several packets of PacketSize as one message (UDP_SEGMENT). Coalesce lets the
	// kernel join consecutive packets to the peers (UDP_GRO).
	Segment, Coalesce bool
}

// PacketHandler is called with a packet that a peer received from a relayed transport address. at
// is the arrival time in ns since 1970.
type PacketHandler func(peer int, from netip.AddrPort, packet []byte, at int64)

// Peers are the peers of the clients. Client i exchanges packets with peer i modulo the number of
// peers.
type Peers struct {
	o       PeersOptions
	addrs   *addressRange // addresses of the peers that share a socket; nil if each has its own
	sockets []*batch.Socket
	poller  *batch.Poller
	sender  datagramSender
	reader  *batch.Reader
	dests   []*batch.Dest
}

// OpenPeers opens the peers' sockets.
func OpenPeers(o PeersOptions) (*Peers, error) {
	p := &Peers{
		o:      o,
		poller: batch.NewPoller(),
		sender: newSender(arenaPerDatagram(o.PacketSize, o.Segment)),
		reader: batch.NewReader(batchSize, o.PacketSize+64, o.Coalesce),
		dests:  make([]*batch.Dest, o.Clients),
	}
	if err := p.open(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *Peers) open() error {
	n, buffer := p.o.Count, singleBuffer
	if isLoopback4(p.o.FirstAddr) {
		l := peerAddrs(p.o.FirstAddr)
		if l.size() < p.o.Count {
			return fmt.Errorf("open peers: there are fewer than %d loopback addresses from %v on", p.o.Count, p.o.FirstAddr)
		}
		p.addrs, n = &l, 1
	}
	if n == 1 {
		buffer = sharedBuffer
	}
	for i := range n {
		s, err := batch.Open(batch.Options{
			Local:    netip.AddrPortFrom(p.o.FirstAddr, 0),
			Shared:   p.addrs != nil,
			FreeBind: true,
			Coalesce: p.o.Coalesce,
			Buffer:   buffer,
		})
		if err != nil {
			return err
		}
		p.sockets = append(p.sockets, s)
		if err := p.poller.AddSocket(s.FD(), i); err != nil {
			return err
		}
	}
	return nil
}

// PeerOf returns the number of a client's peer.
func (p *Peers) PeerOf(client int) int { return client % p.o.Count }

// Addr returns a peer's address.
func (p *Peers) Addr(peer int) netip.AddrPort {
	if p.addrs != nil {
		return netip.AddrPortFrom(p.addrs.addr(peer), p.sockets[0].Local().Port())
	}
	return p.sockets[peer].Local()
}

// SetRelayedAddr sets where packets to client are sent: its relayed transport address.
func (p *Peers) SetRelayedAddr(client int, relayed netip.AddrPort) {
	segment := 0
	if p.o.Segment {
		segment = p.o.PacketSize
	}
	source := netip.Addr{}
	if p.addrs != nil {
		source = p.addrs.addr(p.PeerOf(client))
	}
	p.dests[client] = batch.NewDest(relayed, source, segment)
}

// QueuePacket queues a packet of size bytes from its peer to client, whose relayed address must
// have been set. It returns the slice that the caller must fill before it calls QueuePacket or
// Flush again.
func (p *Peers) QueuePacket(client, size int) []byte {
	socket := p.sockets[0]
	if p.addrs == nil {
		socket = p.sockets[p.PeerOf(client)]
	}
	return p.sender.queueDatagram(socket, p.dests[client], size)
}

// Flush sends all queued packets.
func (p *Peers) Flush() { p.sender.flush() }

// Receive calls f for each packet that has arrived. It does not block.
func (p *Peers) Receive(f PacketHandler) error {
	ready, err := p.poller.Wait(0)
	if err != nil {
		return err
	}
	for _, i := range ready {
		err := p.reader.Read(p.sockets[i], func(d *batch.Datagram) {
			peer, ok := i, true
			if p.addrs != nil {
				peer, ok = p.addrs.index(d.To)
			}
			if ok && peer < p.o.Count && !d.Truncated {
				f(peer, d.From, d.Data, d.At)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// SendFailures returns how many packets this host failed to send, and the first of the errors.
func (p *Peers) SendFailures() (uint64, error) { return p.sender.writer.Lost, p.sender.writer.Err }

// Close closes the sockets.
func (p *Peers) Close() error {
	errs := []error{p.poller.Close()}
	for _, s := range p.sockets {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
