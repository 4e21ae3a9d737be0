package sockets

import (
	"errors"
	"fmt"
	"net/netip"

	"icebox/cmd/iceload/batch"
)

// PeersOptions say which peers there are.
type PeersOptions struct {
	// Address is the first peer's. On the IPv4 loopback the peers count upwards from it and share
	// a socket, elsewhere they have different ports of it.
	FirstAddr netip.Addr
	// Count is how many peers there are.
	Count int
	// Clients is how many clients they have.
	Clients int
	// PacketSize is the length of the longest packet in bytes.
	PacketSize int
	// Segment hands runs of packets of PacketSize over as one; Coalesce takes runs as one.
	Segment, Coalesce bool
}

// PeerHandler takes a packet that came to a peer from a relayed address.
type PacketHandler func(peer int, from netip.AddrPort, packet []byte, at int64)

// Peers are the peers of clients: client i's is number i modulo their count.
type Peers struct {
	o       PeersOptions
	addrs   *addressRange // of the addresses of a shared socket, else nil
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
			return fmt.Errorf("open peers: there are no %d loopback addresses from %v on", p.o.Count, p.o.FirstAddr)
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

// Of is the peer of a client.
func (p *Peers) PeerOf(client int) int { return client % p.o.Count }

// Addr is a peer's address.
func (p *Peers) Addr(peer int) netip.AddrPort {
	if p.addrs != nil {
		return netip.AddrPortFrom(p.addrs.addr(peer), p.sockets[0].Local().Port())
	}
	return p.sockets[peer].Local()
}

// Connect tells where the packets to a client go: to its relayed address.
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

// Message returns the room for a packet to a client that was connected, which is to be
// filled before the next call of Message or Flush.
func (p *Peers) QueuePacket(client, size int) []byte {
	socket := p.sockets[0]
	if p.addrs == nil {
		socket = p.sockets[p.PeerOf(client)]
	}
	return p.sender.queueDatagram(socket, p.dests[client], size)
}

// Flush sends all packets.
func (p *Peers) Flush() { p.sender.flush() }

// Receive hands over what has arrived, and does not wait.
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

// Lost is how many packets this host refused to send, and why it refused the first.
func (p *Peers) SendFailures() (uint64, error) { return p.sender.writer.Lost, p.sender.writer.Err }

// Close closes the sockets.
func (p *Peers) Close() error {
	errs := []error{p.poller.Close()}
	for _, s := range p.sockets {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
