// Package flood sends datagrams from many addresses at a steady rate, as a botnet would, and counts the replies. Every run
// has a limited rate and duration.
package flood

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

const (
	perCall = 50 // the most datagrams in one system call, all from one source
	tick    = time.Millisecond
	// arrears is the most datagrams that are sent late, after a delay of the scheduler. More would be a burst that
	// overruns the receiver.
	arrears = 40 * perCall
	reply   = 2048 // the longest reply that is counted in full
)

// Sources are sockets that are connected to one server. They are not safe for concurrent use.
type Sources struct {
	// PerCall is how many datagrams a source sends before the next source sends. It is at most 50.
	PerCall int
	fds     []int
	next    int
}

// Open binds a socket to each address, on any free port, and connects it to the server.
func Open(server netip.AddrPort, from []netip.Addr) (*Sources, error) {
	s := &Sources{PerCall: perCall}
	for _, a := range from {
		family := unix.AF_INET
		if a.Is6() {
			family = unix.AF_INET6
		}
		fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open a source: %w", err), s.Close())
		}
		s.fds = append(s.fds, fd)
		if err := errors.Join(unix.Bind(fd, sockaddr(netip.AddrPortFrom(a, 0))), unix.Connect(fd, sockaddr(server))); err != nil {
			return nil, errors.Join(fmt.Errorf("source %v: %w", a, err), s.Close())
		}
	}
	return s, nil
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
}

// Close closes the sockets.
func (s *Sources) Close() error {
	var errs []error
	for _, fd := range s.fds {
		errs = append(errs, unix.Close(fd))
	}
	s.fds = nil
	return errors.Join(errs...)
}

// Result is the result of a run.
type Result struct {
	Sent, Replies, ReplyBytes int
	Took                      time.Duration
}

// Rate returns the number of datagrams that were sent a second.
func (r Result) Rate() float64 { return float64(r.Sent) / r.Took.Seconds() }

// Run sends rate copies of message a second, for the duration d or until ctx ends. The eight bytes at the offset counter
// differ in each copy.
func (s *Sources) Run(ctx context.Context, message []byte, counter, rate int, d time.Duration) Result {
	out, in := newBatch(perCall, len(message)), newBatch(perCall, reply)
	for _, b := range out.bufs {
		copy(b, message)
	}
	var r Result
	start := time.Now()
	t := time.NewTicker(tick)
	defer t.Stop()
	scheduled := 0 // datagrams that were due so far, including those that were skipped
	for ctx.Err() == nil && time.Since(start) < d {
		<-t.C
		due := int(time.Since(start).Seconds()*float64(rate)) - scheduled
		scheduled += due
		for due = min(due, arrears); due > 0; {
			n := min(due, s.PerCall)
			due -= n
			for i := range n {
				binary.BigEndian.PutUint64(out.bufs[i][counter:], uint64(r.Sent+i))
			}
			fd := s.fds[s.next]
			s.next = (s.next + 1) % len(s.fds)
			r.drain(in, fd)
			r.Sent += out.send(fd, n)
		}
	}
	r.Took = time.Since(start)
	for _, fd := range s.fds {
		r.drain(in, fd)
	}
	return r
}

// drain counts the replies that wait at a socket.
func (r *Result) drain(in *batch, fd int) {
	for {
		n, bytes := in.receive(fd)
		r.Replies += n
		r.ReplyBytes += bytes
		if n < perCall {
			return
		}
	}
}

// Addresses returns n IPv4 addresses. They begin with first, and each is in the /24 after that of the one before.
func Addresses(first netip.Addr, n int) []netip.Addr {
	b := first.As4()
	base := binary.BigEndian.Uint32(b[:])
	out := make([]netip.Addr, n)
	for i := range out {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], base+uint32(i)<<8)
		out[i] = netip.AddrFrom4(a)
	}
	return out
}
