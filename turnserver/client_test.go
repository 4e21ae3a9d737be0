package turnserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"icebox/turnserver/credential"
	"icebox/turnserver/peer"
	"icebox/turnserver/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testRealm = "icebox.test"
	testUser  = "Al.ice@X"
	testPass  = "correct horse"
	// patience is how long a test waits for an event that must happen.
	patience = 10 * time.Second
)

var (
	loopback4     = netip.MustParseAddr("127.0.0.1")
	loopback6     = netip.MustParseAddr("::1")
	allowLoopback = []peer.Rule{
		{Prefix: netip.MustParsePrefix("127.0.0.0/8"), Allow: true},
		{Prefix: netip.MustParsePrefix("::1/128"), Allow: true},
	}
	anyPeer = []peer.Rule{
		{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Allow: true},
		{Prefix: netip.MustParsePrefix("::/0"), Allow: true},
	}
)

// testServer is a server with a socket for each transport, on 127.0.0.1 and ::1.
type testServer struct {
	*Server
	addrs map[string]netip.AddrPort // "udp4", "tcp6", "tls4", ...; DTLS shares the UDP socket
}

func verifier(t testing.TB, o credential.VerifierOptions) *credential.Verifier {
	t.Helper()
	o.Realm = testRealm
	v, err := credential.NewVerifier(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func testLimits(t testing.TB) Limits {
	return Limits{
		Credentials: verifier(t, credential.VerifierOptions{Users: []credential.User{{Name: testUser, Password: testPass}, {Name: "bob", Password: testPass}}}),
		Peers:       allowLoopback,
	}
}

// serve starts a server whose options and limits edit may change. 127.0.0.1 and ::1 count as the host's own addresses only because they
// are in RelayAddrs, which edit may change to 127.0.0.2.
func serve(t testing.TB, edit func(*Options, *Limits)) *testServer {
	t.Helper()
	cert := testCertificate(t)
	o := Options{
		Realm:          testRealm,
		RelayAddrs:     []RelayAddr{{Local: loopback4, Advertised: loopback4}, {Local: loopback6, Advertised: loopback6}},
		GetCertificate: func() (*tls.Certificate, error) { return cert, nil },
	}
	l := testLimits(t)
	if edit != nil {
		edit(&o, &l)
	}
	s, err := New(o, l)
	if err != nil {
		t.Fatal(err)
	}
	ts := &testServer{Server: s, addrs: make(map[string]netip.AddrPort)}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if n := s.engine.Count(); n != 0 {
			t.Errorf("%d allocations left in the state machine", n)
		}
	})
	for family, ip := range map[string]netip.Addr{"4": loopback4, "6": loopback6} {
		c, err := net.ListenUDP("udp"+family, net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, 0)))
		if err != nil {
			t.Fatal(err)
		}
		ts.addrs["udp"+family] = c.LocalAddr().(*net.UDPAddr).AddrPort()
		ts.addrs["dtls"+family] = ts.addrs["udp"+family]
		if err := s.AddUDP(c, UDPOptions{DTLS: true}); err != nil {
			t.Fatal(err)
		}
		for _, tr := range []Transport{TCP, TLS} {
			l, err := net.ListenTCP("tcp"+family, net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, 0)))
			if err != nil {
				t.Fatal(err)
			}
			ts.addrs[tr.String()+family] = l.Addr().(*net.TCPAddr).AddrPort()
			if err := s.AddListener(l, tr); err != nil {
				t.Fatal(err)
			}
		}
	}
	return ts
}

// awaitDrop calls do until the server has counted a drop for reason.
func (ts *testServer) awaitDrop(t testing.TB, reason DropReason, do func()) {
	t.Helper()
	before := testutil.ToFloat64(ts.drops[reason])
	do()
	deadline := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for testutil.ToFloat64(ts.drops[reason]) == before {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("nothing was dropped as %v", reason)
		}
	}
}

func testCertificate(t testing.TB) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"icebox.test"}}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// client is a raw TURN client that shows every byte the server sends.
type client struct {
	t      testing.TB
	conn   net.Conn
	stream bool
	// Requests are signed with these once there is a nonce.
	user, password, nonce string
	fingerprint           bool   // requests carry FINGERPRINT
	rest                  []byte // bytes of a stream that are not yet a whole message
}

// dial connects over transport ("udp4", "tls6", ...) with a new 5-tuple.
func (ts *testServer) dial(t testing.TB, transport string) *client {
	t.Helper()
	return dial(t, transport, ts.addrs[transport])
}

func dial(t testing.TB, transport string, addr netip.AddrPort) *client {
	t.Helper()
	var conn net.Conn
	var err error
	switch transport[:len(transport)-1] {
	case "udp":
		conn, err = net.Dial("udp", addr.String())
	case "tcp":
		conn, err = net.Dial("tcp", addr.String())
	case "tls":
		conn, err = tls.Dial("tcp", addr.String(), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a certificate of the test's own
	case "dtls":
		conn, err = dialDTLS(addr)
	}
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, conn)
}

func newClient(t testing.TB, conn net.Conn) *client {
	t.Helper()
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	_, isDTLS := conn.(*dtls.Conn)
	_, isUDP := conn.(*net.UDPConn)
	return &client{t: t, conn: conn, stream: !isDTLS && !isUDP, user: testUser, password: testPass}
}

func dialDTLS(addr netip.AddrPort) (net.Conn, error) {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr.Addr(), 0)))
	if err != nil {
		return nil, err
	}
	return dtls.ClientWithOptions(c, net.UDPAddrFromAddrPort(addr), dtls.WithInsecureSkipVerify(true))
}

// newID returns a transaction ID. IDs only have to differ.
func newID() (id [wire.TransactionIDSize]byte) {
	_, _ = rand.Read(id[:]) // never fails
	return id
}

// message returns a request with the attributes that add writes. It is signed if the client has a nonce.
func (c *client) message(method wire.Method, add func(*wire.Builder)) []byte {
	b := wire.NewBuilder(nil, method, wire.Request, newID())
	if add != nil {
		add(b)
	}
	if c.nonce != "" {
		b.Text(wire.AttrUsername, c.user).Text(wire.AttrRealm, testRealm).Text(wire.AttrNonce, c.nonce)
		b.Integrity(c.key())
	}
	if c.fingerprint {
		b.Fingerprint()
	}
	return b.Bytes()
}

func (c *client) key() []byte { return credential.LongTermKey(c.user, testRealm, c.password) }

func (c *client) write(b []byte) {
	c.t.Helper()
	if c.stream {
		b = append(b, make([]byte, wire.Pad4(len(b))-len(b))...)
	}
	if _, err := c.conn.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// read returns the next message or ChannelData from the server.
func (c *client) read() []byte {
	c.t.Helper()
	b, err := c.tryRead()
	if err != nil {
		c.t.Fatalf("read: %v", err)
	}
	return b
}

func (c *client) tryRead() ([]byte, error) {
	if !c.stream {
		b := make([]byte, 4096)
		n, err := c.conn.Read(b)
		return b[:n], err
	}
	for {
		if len(c.rest) >= wire.MinFrame {
			size, padded, err := wire.FrameSize(c.rest, 1<<17)
			if err != nil {
				return nil, err
			}
			if padded <= len(c.rest) {
				b := c.rest[:size]
				c.rest = c.rest[padded:]
				return b, nil
			}
		}
		b := make([]byte, 4096)
		n, err := c.conn.Read(b)
		if err != nil {
			return nil, err
		}
		c.rest = append(c.rest, b[:n]...)
	}
}

// do sends a request and returns the response with the same transaction ID.
func (c *client) do(method wire.Method, add func(*wire.Builder)) *wire.Message {
	c.t.Helper()
	return c.exchange(c.message(method, add))
}

func (c *client) exchange(request []byte) *wire.Message {
	c.t.Helper()
	c.write(request)
	for {
		var m wire.Message
		if b := c.read(); wire.Parse(b, &m) == nil && string(m.TransactionID[:]) == string(request[8:20]) {
			return &m
		}
	}
}

// code returns the error code of a response, 0 for a success.
func code(m *wire.Message) wire.Code {
	v, ok := m.Get(wire.AttrErrorCode)
	if !ok || m.Class != wire.Error {
		return 0
	}
	return wire.Code(int(v[2])*100 + int(v[3]))
}

// login gets a nonce from a challenge.
func (c *client) login() {
	c.t.Helper()
	c.nonce = ""
	m := c.do(wire.Refresh, nil)
	nonce, ok := m.Get(wire.AttrNonce)
	if code(m) != wire.Unauthorized || !ok {
		c.t.Fatalf("no challenge: %d", code(m))
	}
	c.nonce = string(nonce)
}

func udpTransport(b *wire.Builder) { b.Attribute(wire.AttrRequestedTransport, []byte{17, 0, 0, 0}) }

// allocate logs in, allocates and returns the relayed transport address.
func (c *client) allocate(family wire.Family) netip.AddrPort {
	c.t.Helper()
	c.login()
	m := c.do(wire.Allocate, func(b *wire.Builder) {
		udpTransport(b)
		if family != 0 {
			b.Attribute(wire.AttrRequestedAddressFamily, []byte{byte(family), 0, 0, 0})
		}
	})
	v, _ := m.Get(wire.AttrXORRelayedAddress)
	a, ok := m.XORAddress(v)
	if code(m) != 0 || !ok {
		c.t.Fatalf("Allocate: %d", code(m))
	}
	return a
}

// must asserts the code of a response.
func (c *client) must(m *wire.Message, want wire.Code) {
	c.t.Helper()
	if got := code(m); got != want {
		c.t.Fatalf("answer %d, want %d", got, want)
	}
}

func (c *client) permit(peers ...netip.AddrPort) *wire.Message {
	c.t.Helper()
	return c.do(wire.CreatePermission, func(b *wire.Builder) {
		for _, p := range peers {
			b.XORAddress(wire.AttrXORPeerAddress, p)
		}
	})
}

func (c *client) bind(number uint16, peer netip.AddrPort) *wire.Message {
	c.t.Helper()
	return c.do(wire.ChannelBind, func(b *wire.Builder) {
		b.Attribute(wire.AttrChannelNumber, []byte{byte(number >> 8), byte(number), 0, 0})
		b.XORAddress(wire.AttrXORPeerAddress, peer)
	})
}

func (c *client) sendTo(peer netip.AddrPort, data string) {
	c.t.Helper()
	c.write(wire.NewBuilder(nil, wire.Send, wire.Indication, newID()).
		XORAddress(wire.AttrXORPeerAddress, peer).Attribute(wire.AttrData, []byte(data)).Bytes())
}

func (c *client) sendOn(number uint16, data string) {
	c.t.Helper()
	b := make([]byte, wire.ChannelHeaderSize, wire.ChannelHeaderSize+len(data))
	wire.PutChannelHeader(b, number, len(data))
	c.write(append(b, data...))
}

// wantData reads a Data indication.
func (c *client) wantData(peer netip.AddrPort, data string) {
	c.t.Helper()
	var m wire.Message
	b := c.read()
	if err := wire.Parse(b, &m); err != nil {
		c.t.Fatalf("Data indication %x: %v", b, err)
	}
	from, _ := m.Get(wire.AttrXORPeerAddress)
	a, _ := m.XORAddress(from)
	v, _ := m.Get(wire.AttrData)
	if m.Method != wire.Data || a != peer || string(v) != data {
		c.t.Fatalf("got %v %q from %v, want %q from %v", m.Method, v, a, data, peer)
	}
}

// wantChannel reads a ChannelData message.
func (c *client) wantChannel(number uint16, data string) {
	c.t.Helper()
	b := c.read()
	n, v, ok := wire.ChannelData(b)
	if !ok || n != number || string(v) != data {
		c.t.Fatalf("got %x, want %q on %#x", b, data, number)
	}
}

// wantNothing asserts that the server has sent no message. It sends a Binding request: any earlier message would arrive before the
// response.
func (c *client) wantNothing() {
	c.t.Helper()
	request := wire.NewBuilder(nil, wire.Binding, wire.Request, newID()).Bytes()
	c.write(request)
	var m wire.Message
	if b := c.read(); wire.Parse(b, &m) != nil || string(m.TransactionID[:]) != string(request[8:20]) {
		c.t.Fatalf("unexpected %x", b)
	}
}

// testPeer is a peer with a UDP socket.
type testPeer struct {
	t    testing.TB
	conn *net.UDPConn
	addr netip.AddrPort
}

func newPeer(t testing.TB, ip netip.Addr) *testPeer {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	a := c.LocalAddr().(*net.UDPAddr).AddrPort()
	return &testPeer{t: t, conn: c, addr: netip.AddrPortFrom(a.Addr().Unmap(), a.Port())}
}

func (p *testPeer) want(from netip.AddrPort, data string) {
	p.t.Helper()
	b := make([]byte, 4096)
	n, a, err := p.conn.ReadFromUDPAddrPort(b)
	if a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port()); err != nil || a != from || string(b[:n]) != data {
		p.t.Fatalf("peer got %q from %v, %v; want %q from %v", b[:n], a, err, data, from)
	}
}

func (p *testPeer) send(to netip.AddrPort, data string) {
	p.t.Helper()
	if _, err := p.conn.WriteToUDPAddrPort([]byte(data), to); err != nil {
		p.t.Fatal(err)
	}
}

// wantClosed asserts that the server closes the connection.
func (c *client) wantClosed() {
	c.t.Helper()
	if b, err := c.tryRead(); err == nil {
		c.t.Fatalf("got %x, want the end", b)
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatal("the connection stays open")
	}
}

// withID matches one session.
func withID(id uint64) func(*SessionInfo) bool {
	return func(i *SessionInfo) bool { return i.ID == id }
}
