// Package packetio moves datagrams between the kernel and the relay. A few goroutines serve many sockets.
//
// [Loops] serve [Socket]s. They hand each datagram as a [Packet] to the socket's [Receiver], in a goroutine that the
// loops own. A loop works in rounds: it polls its sockets, reads the readable ones, and then sends. So a packet that
// the receiver sends is only recorded during the call. The loop sends it at the end of the round, together with all
// others. A packet has room in front of its payload, so that a ChannelData or Data header can be written in place.
//
// # On Linux
//
// There is one lane for each worker, and each socket belongs to a lane. A lane is an epoll instance with its sockets.
// [Share] gives each lane a socket of its own on an address that many clients use (SO_REUSEPORT); the kernel chooses
// the lane of a client by its address, and the client stays there. Lanes share nothing, except that one lane may send
// through a socket of another lane.
//
// Loops are goroutines; there are as many as lanes. They read with recvmmsg, split datagrams that the kernel has coalesced
// (UDP_GRO), write runs of equally long datagrams to one address with one system call (UDP_SEGMENT), and write the rest
// with sendmmsg. A socket costs its file descriptor and about a hundred bytes; the buffers belong to the loop.
//
// # As many loops as there is work for
//
// A wake-up costs as much as relaying one packet, or several in a virtual machine, and two loops wake up twice as often
// as one for the same packets. So at first one loop serves all lanes: the other epolls are nested in its own. When it
// is busy most of the time, it gives half of its lanes to a loop that sleeps. When two neighbouring loops have little
// to do, they merge into one. The type meter decides this by the numbers in scalePolicy. A lane changes loops between
// two rounds, while no goroutine reads it. Its sockets stay where they are, so no packet is lost or overtakes another.
// On two cores this saved a quarter of the CPU time of all traffic that one loop can carry.
//
// A busy loop pauses between two polls, as network cards do between interrupts, because packets that are read together are
// sent together; see pauseFor. A loop also yields to Go's scheduler regularly; see balance.
//
// If a loop is stuck, all its sockets stop, so [Loops].Check finds out whether every loop still completes its rounds.
// It writes to an eventfd in each lane and waits until the loop has seen it. For a loop that waits for packets, a check
// costs one wake-up.
//
// # Streams
//
// Package streamio reads streams. Its caller puts their messages into a [Batch] as packets, so that messages that were
// read together are sent together. A loop writes its messages for a stream at the end of the round; see [Packet.Defer].
//
// # Other systems
//
// A goroutine reads each socket, and each datagram takes a system call.
package packetio

import (
	"context"
	"errors"
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

// MaxDatagram is the longest UDP payload in bytes.
const MaxDatagram = 65535

// clientBuffer is the size in bytes that Serve requests for the kernel's buffers of a socket, because many clients
// share that socket. The buffer holds about 5,000 short datagrams, which is 0.1 s of a heavy flood. The system may
// allow less.
const clientBuffer = 4 << 20

// ErrStuck is the error of Check if a loop does not complete its round.
var ErrStuck = errors.New("a goroutine that relays packets is stuck")

// Loops serve sockets until they are closed.
type Loops interface {
	// Workers returns how many sockets can be served at the same time by different goroutines. Workers are numbered
	// from 0.
	Workers() int
	// Serve makes c a socket of the given worker. It takes ownership of c, also if it returns an error. Datagrams longer
	// than longest bytes are dropped and reported to Receiver.Oversized. Nothing is read before Socket.Start.
	Serve(c *net.UDPConn, worker, longest int, r Receiver) (Socket, error)
	// Listen is Serve for a new socket bound to addr.
	Listen(addr netip.AddrPort, worker, longest int, r Receiver) (Socket, error)
	// Check wakes each loop once and waits until each has polled its sockets again. It returns ErrStuck if ctx ends
	// first. Portable loops are not checked, because a goroutine that is stuck there stops only its own socket.
	Check(ctx context.Context) error
	// Close blocks until all goroutines have ended. The caller has closed every socket.
	Close()
}

// Receiver handles the datagrams of a socket.
type Receiver interface {
	// Receive handles one datagram. The packet is valid until it returns. One goroutine at a time calls it.
	Receive(p *Packet)
	// Oversized is called for each datagram that was too long.
	Oversized()
	// Lost is called when n packets given to Send could not be sent. Any goroutine calls it.
	Lost(n int)
	// Closed is called once, when the socket's address is free again.
	Closed()
}

// Socket is a UDP socket that Loops serve. Its methods are safe for concurrent use.
type Socket interface {
	// Send sends the payload of p to p.Addr, or drops it and calls Receiver.Lost. It never blocks.
	Send(p *Packet)
	// Start begins reading. It is called once.
	Start() error
	// LocalAddr returns the address that the socket is bound to.
	LocalAddr() netip.AddrPort
	// Worker returns the number of the worker that reads the socket.
	Worker() int
	// Close closes the socket. It does not wait for a Receive that is running.
	Close() error
}

func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}
