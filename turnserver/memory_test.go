package turnserver

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"icebox/turnserver/packetio"
)

// memoryNet is a network of UDP sockets in memory, so that a server and its peers can run in a synctest bubble, where waiting takes no
// time.
type memoryNet struct {
	readers sync.WaitGroup
	mu      sync.Mutex
	conns   map[netip.AddrPort]*memoryConn
}

func newMemoryNet() *memoryNet { return &memoryNet{conns: make(map[netip.AddrPort]*memoryConn)} }

// Listen and the other methods implement packetio.Loops for a server on this network.
func (n *memoryNet) Listen(a netip.AddrPort, _, longest int, r packetio.Receiver) (packetio.Socket, error) {
	return n.serve(a, longest, r), nil
}

func (n *memoryNet) serve(a netip.AddrPort, longest int, r packetio.Receiver) *memoryConn {
	c := n.peer(a)
	c.longest, c.receiver = longest, r
	return c
}

// peer returns the socket of a peer. The test reads its datagrams from in.
func (n *memoryNet) peer(a netip.AddrPort) *memoryConn {
	c := &memoryConn{net: n, addr: a, in: make(chan datagram, 4096), closed: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conns[a] = c
	return c
}

func (n *memoryNet) Serve(*net.UDPConn, int, int, packetio.Receiver) (packetio.Socket, error) {
	return nil, errors.New("no real sockets")
}

func (n *memoryNet) Workers() int                { return 1 }
func (n *memoryNet) Check(context.Context) error { return nil }
func (n *memoryNet) Close()                      { n.readers.Wait() }

func (n *memoryNet) at(a netip.AddrPort) *memoryConn {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.conns[a]
}

type datagram struct {
	from    netip.AddrPort
	payload []byte
}

// memoryConn implements packetio.Socket. As with UDP, a datagram to an address without a socket is lost.
type memoryConn struct {
	net      *memoryNet
	addr     netip.AddrPort
	longest  int
	receiver packetio.Receiver
	in       chan datagram
	once     sync.Once
	closed   chan struct{}
}

func (c *memoryConn) Start() error {
	c.net.readers.Go(func() {
		p := packetio.NewPacket(c.longest)
		for {
			select {
			case d := <-c.in:
				p.Addr = d.from
				p.Set(p.Buf, packetio.Headroom, packetio.Headroom+copy(p.Buf[packetio.Headroom:], d.payload))
				c.receiver.Receive(p)
			case <-c.closed:
				return
			}
		}
	})
	return nil
}

func (c *memoryConn) Send(p *packetio.Packet) { c.send(p.Addr, p.Payload()) }
func (c *memoryConn) Worker() int             { return 0 }

func (c *memoryConn) send(to netip.AddrPort, b []byte) {
	if target := c.net.at(to); target != nil {
		select {
		case target.in <- datagram{c.addr, append([]byte(nil), b...)}:
		default: // the queue is full
		}
	}
}

func (c *memoryConn) LocalAddr() netip.AddrPort { return c.addr }

func (c *memoryConn) Close() error {
	c.once.Do(func() {
		c.net.mu.Lock()
		delete(c.net.conns, c.addr)
		c.net.mu.Unlock()
		close(c.closed)
		c.receiver.Closed()
	})
	return nil
}

// Addresses on a memoryNet.
var (
	memoryRelay  = netip.MustParseAddr("203.0.113.7")
	memoryRelay6 = netip.MustParseAddr("2001:db8::7")
	memoryServer = netip.MustParseAddrPort("203.0.113.1:3478")
	memoryHome   = netip.MustParseAddrPort("198.51.100.1:5000") // of a client
	memoryPeer   = netip.MustParseAddrPort("192.0.2.1:9")
)

// serveInMemory starts a server whose relay sockets are on network and that has no other sockets. Its policy allows all peers.
func serveInMemory(t testing.TB, network *memoryNet, edit func(*Options, *Limits)) *testServer {
	t.Helper()
	o := Options{Realm: testRealm, RelayAddrs: []RelayAddr{{Local: memoryRelay, Advertised: memoryRelay}}}
	l := testLimits(t)
	l.Peers = anyPeer
	if edit != nil {
		edit(&o, &l)
	}
	s, err := New(o, l)
	if err != nil {
		t.Fatal(err)
	}
	s.io = network
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return &testServer{Server: s}
}

// pipe connects a client through a stream in memory, which is closed with the test.
func (ts *testServer) pipe(t testing.TB, remote netip.AddrPort, transport Transport) *client {
	t.Helper()
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		ts.ServeConn(far, remote, transport)
	}()
	t.Cleanup(func() {
		near.Close()
		<-done
	})
	return &client{t: t, conn: near, stream: true, user: testUser, password: testPass}
}

// memoryPath is a path without a socket. The server's messages go to sent.
type memoryPath struct {
	server *Server
	kind   Transport
	at     netip.AddrPort
	sent   func(remote netip.AddrPort, b []byte) // b is valid until sent returns

	mu       sync.RWMutex
	sessions map[netip.AddrPort]*session
}

func newMemoryPath(s *Server, sent func(netip.AddrPort, []byte)) *memoryPath {
	return &memoryPath{server: s, at: memoryServer, sent: sent, sessions: make(map[netip.AddrPort]*session)}
}

func (m *memoryPath) worker() int           { return 0 }
func (m *memoryPath) transport() Transport  { return m.kind }
func (m *memoryPath) local() netip.AddrPort { return m.at }

func (m *memoryPath) send(remote netip.AddrPort, p *packetio.Packet) { m.sent(remote, p.Payload()) }

func (m *memoryPath) session(remote netip.AddrPort) *session {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.sessions[remote]
}

func (m *memoryPath) attach(sess *session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sessions[sess.remote] = sess
}

func (m *memoryPath) detach(sess *session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sessions[sess.remote] == sess {
		delete(m.sessions, sess.remote)
	}
}

// memoryLink is a client's connection over a memoryPath. When Write returns, the server has handled the message.
type memoryLink struct {
	path   *memoryPath
	remote netip.AddrPort
	in     chan []byte
	packet *packetio.Packet
}

// link connects a client that sends datagrams.
func (ts *testServer) link(t testing.TB, remote netip.AddrPort) *client {
	l := &memoryLink{remote: remote, in: make(chan []byte, 4096), packet: packetio.NewPacket(datagramSize)}
	l.path = newMemoryPath(ts.Server, func(_ netip.AddrPort, b []byte) { l.in <- append([]byte(nil), b...) })
	return &client{t: t, conn: l, user: testUser, password: testPass}
}

func (l *memoryLink) Write(b []byte) (int, error) {
	n := copy(l.packet.Buf[packetio.Headroom:], b)
	l.packet.Set(l.packet.Buf, packetio.Headroom, packetio.Headroom+n)
	l.path.server.receive(l.path, l.remote, l.packet)
	return n, nil
}

func (l *memoryLink) Read(b []byte) (int, error) { return copy(b, <-l.in), nil }

func (l *memoryLink) Close() error                     { return nil }
func (l *memoryLink) LocalAddr() net.Addr              { return net.UDPAddrFromAddrPort(l.remote) }
func (l *memoryLink) RemoteAddr() net.Addr             { return net.UDPAddrFromAddrPort(memoryServer) }
func (l *memoryLink) SetDeadline(time.Time) error      { return nil }
func (l *memoryLink) SetReadDeadline(time.Time) error  { return nil }
func (l *memoryLink) SetWriteDeadline(time.Time) error { return nil }
