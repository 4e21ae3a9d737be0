package packetio

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// portable implements Loops with a goroutine for each socket and a system call for each datagram.
type portable struct {
	readers sync.WaitGroup
}

// Portable returns Loops that work on every system.
func Portable() Loops { return &portable{} }

func (l *portable) Workers() int                { return 1 }
func (l *portable) Check(context.Context) error { return nil }
func (l *portable) Close()                      { l.readers.Wait() }

func (l *portable) Serve(c *net.UDPConn, _, longest int, r Receiver) (Socket, error) {
	_, _ = c.SetReadBuffer(clientBuffer), c.SetWriteBuffer(clientBuffer) // as much as the system allows
	return l.serve(c, longest, r), nil
}

func (l *portable) serve(c *net.UDPConn, longest int, r Receiver) Socket {
	s := &plainSocket{conn: c, local: unmapped(c.LocalAddr().(*net.UDPAddr).AddrPort()), receiver: r}
	s.start = func() { l.readers.Go(func() { s.read(longest) }) }
	return s
}

func (l *portable) Listen(addr netip.AddrPort, _, longest int, r Receiver) (Socket, error) {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, err
	}
	return l.serve(c, longest, r), nil
}

type plainSocket struct {
	conn     *net.UDPConn
	local    netip.AddrPort
	receiver Receiver
	start    func()
	once     sync.Once  // for Close
	fragment sync.Mutex // held while the DF bit is set
}

// retryAfter is how long a reader waits after a transient error such as ENOBUFS.
const retryAfter = 10 * time.Millisecond

func (s *plainSocket) read(longest int) {
	p := NewPacket(longest)
	for {
		n, addr, err := s.conn.ReadFromUDPAddrPort(p.Buf[Headroom:])
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			time.Sleep(retryAfter)
		case n > longest:
			s.receiver.Oversized()
		default:
			p.Addr = unmapped(addr)
			p.Off, p.End = Headroom, Headroom+n
			s.receiver.Receive(p)
		}
	}
}

// Send implements Socket. A packet with DontFragment is lost if the system cannot set the DF bit (RFC 8656 section 11.3).
func (s *plainSocket) Send(p *Packet) {
	if p.DontFragment {
		s.fragment.Lock()
		defer s.fragment.Unlock()
		if !dontFragment(s.conn, s.local, true) {
			s.receiver.Lost(1)
			return
		}
		defer dontFragment(s.conn, s.local, false)
	}
	if _, err := s.conn.WriteToUDPAddrPort(p.Payload(), p.Addr); err != nil {
		s.receiver.Lost(1)
	}
}

func (s *plainSocket) Start() error {
	s.start()
	return nil
}

func (s *plainSocket) LocalAddr() netip.AddrPort { return s.local }
func (s *plainSocket) Worker() int               { return 0 }

func (s *plainSocket) Close() error {
	err := net.ErrClosed
	s.once.Do(func() {
		err = s.conn.Close()
		s.receiver.Closed()
	})
	return err
}
