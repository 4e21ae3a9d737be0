// Package packetio moves datagrams between the kernel and the relay, for many sockets with few
// goroutines.
//
// [Loops] serve [Socket]s: each datagram is handed to the socket's [Receiver] as a [Packet], in a
// goroutine that the loops own. What the receiver sends on in that call is only noted down, and
// goes out with everything else that was read at the same time. A packet has room in front of its
// payload, so that a ChannelData or Data header is written where the payload lies.
//
// # On Linux
//
// Sockets are divided into lanes, one for each core, by the worker they are given to: [Share] gives
// each lane a socket of its own on an address that many clients use (SO_REUSEPORT), and clients
// stay in the lane the kernel has put them in. A lane is an epoll. Lanes share nothing but the
// sockets that one of them sends to for another.
//
// Loops, goroutines of which there are as many, serve the lanes. They read with recvmmsg, take
// datagrams that the kernel has coalesced (UDP_GRO) apart again, and write runs of datagrams of one
// size to one address as one (UDP_SEGMENT), the rest with sendmmsg. A socket costs its file
// descriptor and a hundred bytes; buffers belong to the loop.
//
// # As many loops as there is work for
//
// A wake-up costs as much as relaying a packet, or several in a virtual machine, and two loops wake
// up twice as often as one for the same packets. So one loop serves all lanes in the beginning: the
// epolls of the others are nested in its own. When it works for most of the time it gives half of
// its lanes to a loop that sleeps, and when two neighbours have little to do they become one again;
// see meter, which decides, and habits. A lane changes hands between two rounds of the loop that
// has it, while nobody reads: its sockets do not move, so nothing is lost and nothing overtakes. On
// two cores that saved a quarter of the CPU time of all traffic that one loop can carry.
//
// A busy loop rests between two looks, as network cards do between interrupts: packets that are
// read together go out together. See restFor. And it calls Go's scheduler every now and then, see
// balance: who does not is watched by it, at the cost of a tenth.
//
// # Streams
//
// Package turnserver reads them itself, and lends their messages to a [Batch] as packets, so that
// what comes in one piece leaves together too. What loops have for a stream waits for the end of
// the round, see [Packet.Later].
//
// # Elsewhere
//
// A goroutine reads each socket, and every datagram is a system call.
package packetio

import (
	"net"
	"net/netip"
)

// Room around the payload of a packet that was read, in bytes.
const (
	// Headroom holds the header of a Data indication from an IPv6 peer, the longest
	// that is written in front of a payload (RFC 8656 section 11.4); ChannelData takes 4 of it.
	Headroom = 48
	// Tailroom holds padding to a multiple of four.
	Tailroom = 3
)

// MaxDatagram is the longest UDP payload.
const MaxDatagram = 65535

// clientBuffer is what is asked for as the kernel's buffers of a socket that is given to Serve, for
// many clients share it: 5,000 short datagrams, a tenth of a second of a heavy flood. The system may allow less.
const clientBuffer = 4 << 20

// Loops serve sockets until they are closed.
type Loops interface {
	// Workers is how many sockets are served at the same time by different
	// goroutines; workers are numbered from 0.
	Workers() int
	// Serve makes c a socket of the given worker and owns it from then on, errors included.
	// Datagrams longer than longest bytes are not handed out. Nothing is read before Start.
	Serve(c *net.UDPConn, worker, longest int, r Receiver) (Socket, error)
	// Listen is Serve for a new socket that is bound to addr.
	Listen(addr netip.AddrPort, worker, longest int, r Receiver) (Socket, error)
	// Close waits for all goroutines to end. Every socket must have been closed.
	Close()
}

// Receiver gets what a socket reads.
type Receiver interface {
	// Receive takes one datagram. The packet is valid until it returns. It is called by one goroutine at a time.
	Receive(p *Packet)
	// Oversized tells of a datagram that was too long.
	Oversized()
	// Lost tells that n packets given to Send did not get out. It is called by any goroutine.
	Lost(n int)
	// Closed tells that the socket's address is free again. It is called once.
	Closed()
}

// Socket is a UDP socket that is served. Its methods may be called by any goroutine.
type Socket interface {
	// Send sends the payload of p to p.Addr, or loses it and tells the receiver. It never waits.
	Send(p *Packet)
	// Start begins to read. It is called once.
	Start() error
	// LocalAddr is the address the socket is bound to.
	LocalAddr() netip.AddrPort
	// Worker is the one that reads the socket.
	Worker() int
	// Close ends the socket. A Receive that is under way goes on.
	Close() error
}

func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}
