package abuse

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"icebox/deploy/e2e/abuse/procfs"
	"icebox/deploy/e2e/abuse/turn"
	"icebox/deploy/e2e/pki"
	"icebox/deploy/e2e/server"
)

func TestMain(m *testing.M) {
	if err := raiseFiles(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// raiseFiles raises the soft limit of open files to the hard limit, for this process and for the daemons that it starts.
func raiseFiles() error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	if l.Max < 20000 {
		return fmt.Errorf("the hard limit of open files is %d, but the tests need 20000 (ulimit -Hn)", l.Max)
	}
	l.Cur = l.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("raise the limit of open files: %w", err)
	}
	return nil
}

const (
	secret = "sixteen bytes that the tests share"
	// patience is how long a test waits for an expected event. It allows for a busy machine.
	patience = 40 * time.Second
)

var (
	here4 = netip.MustParseAddr("127.0.0.1") // where the daemon listens
	here6 = netip.MustParseAddr("::1")
	// honest is the first address of honest clients. No attacker uses an address in their networks.
	honest = netip.MustParseAddr("127.200.0.7")
	// echoAddr is the address of the echo peers.
	echoAddr = netip.MustParseAddr("127.201.0.9")
)

// box is a running daemon and the addresses where it listens.
type box struct {
	*server.Icebox
	plain, secure netip.AddrPort // UDP and TCP; TLS and DTLS
	http          netip.AddrPort
}

// settings are the parts of the configuration that differ between tests, in YAML.
type settings struct {
	limits string // turn.limits, in flow style
	peers  string // turn.peers; the default allows loopback
	realm  string // the default has 16 bytes
	extra  string // top-level keys
}

// start starts a daemon that listens on the loopback addresses and relays from them.
func start(t *testing.T, s settings) *box {
	t.Helper()
	files := pki.Make(t, "localhost")
	plain, secure, web := server.FreePort(t), server.FreePort(t), server.FreePort(t)
	if s.limits == "" {
		s.limits = "{}"
	}
	if s.peers == "" {
		s.peers = `[{allow: 127.0.0.0/8}, {allow: "::1/128"}]`
	}
	if s.realm == "" {
		s.realm = "sixteen-b.realm!"
	}
	config := fmt.Sprintf(`
tls: {certificate: %[1]s, key: %[2]s}
turn:
  realm: %[8]q
  listen:
    - {address: "127.0.0.1:%[3]d", transports: [udp, tcp]}
    - {address: "[::1]:%[3]d", transports: [udp, tcp]}
    - {address: "127.0.0.1:%[4]d", transports: [tls, dtls]}
    - {address: "[::1]:%[4]d", transports: [tls, dtls]}
  relay_addresses: [127.0.0.1, "::1"]
  peers: %[6]s
  limits: %[7]s
credentials: {secrets: [{secret: %[5]q}]}
http: {listen: [{address: "127.0.0.1:%[9]d"}]}
shutdown: {drain: 100ms}
%[10]s`, files.Cert, files.Key, plain, secure, secret, s.peers, s.limits, s.realm, web, s.extra)
	b := &box{
		Icebox: server.StartIcebox(t, server.IceboxOptions{Config: config}),
		plain:  netip.AddrPortFrom(here4, uint16(plain)),
		secure: netip.AddrPortFrom(here4, uint16(secure)),
		http:   netip.AddrPortFrom(here4, uint16(web)),
	}
	return b
}

// at returns the address where the daemon serves a transport, in the family of from.
func (b *box) at(tr turn.Transport, from netip.Addr) netip.AddrPort {
	a := b.plain
	if tr == turn.TLS || tr == turn.DTLS {
		a = b.secure
	}
	if from.Is6() {
		return netip.AddrPortFrom(here6, a.Port())
	}
	return a
}

// dial connects a client. It is closed when the test ends.
func (b *box) dial(t *testing.T, tr turn.Transport, from netip.Addr, user string) *turn.Client {
	t.Helper()
	c, err := b.tryDial(tr, from, user)
	if err != nil {
		t.Fatalf("dial %s from %v: %v", tr, from, err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// tryDial connects a client, which the caller closes.
func (b *box) tryDial(tr turn.Transport, from netip.Addr, user string) (*turn.Client, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return turn.Connect(ctx, tr, from, b.at(tr, from), turn.Mint(secret, user))
}

// allocate connects a client and makes an allocation. It returns the relayed address.
func (b *box) allocate(t *testing.T, tr turn.Transport, from netip.Addr, user string) (*turn.Client, netip.AddrPort) {
	t.Helper()
	c := b.dial(t, tr, from, user)
	a, err := c.Allocate()
	if err != nil {
		t.Fatalf("allocate over %s from %v: %v", tr, from, err)
	}
	return c, a
}

// memory, cpu and files return the memory, the processor time and the number of open files of the daemon's process.
func (b *box) memory(t *testing.T) int        { return must(t)(procfs.Memory(b.PID())) }
func (b *box) files(t *testing.T) int         { return must(t)(procfs.Files(b.PID())) }
func (b *box) cpu(t *testing.T) time.Duration { return time.Duration(must(t)(cpu(b.PID()))) }

// sockets returns the open sockets of the daemon's process.
func (b *box) sockets(t *testing.T) map[string]bool {
	t.Helper()
	s, err := procfs.Sockets(b.PID())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// openedSince returns how many sockets the daemon has open now and did not have open before. To count connections, a test
// counts sockets and not files, because each relay loop opens another descriptor of its epoll when it becomes idle and
// closes that descriptor when it becomes busy.
func (b *box) openedSince(t *testing.T, before map[string]bool) int {
	t.Helper()
	n := 0
	for s := range b.sockets(t) {
		if !before[s] {
			n++
		}
	}
	return n
}

func cpu(pid int) (int, error) {
	d, err := procfs.CPU(pid)
	return int(d), err
}

// must returns a function that passes a number on and fails the test on an error.
func must(t *testing.T) func(int, error) int {
	return func(n int, err error) int {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
}

// eventually calls ok until it returns nil, and fails the test when that takes too long.
func eventually(t *testing.T, within time.Duration, ok func() error) {
	t.Helper()
	deadline := time.After(within)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	err := ok()
	for err != nil {
		select {
		case <-tick.C:
			err = ok()
		case <-deadline:
			t.Fatalf("still not so after %s: %v", within, err)
		}
	}
}

// wantCode asserts that err carries an error code; want 0 means success.
func wantCode(t *testing.T, what string, err error, want int) {
	t.Helper()
	if got := codeOf(err); got != want {
		t.Errorf("%s: %v, want code %d", what, err, want)
	}
}

// codeOf returns the error code that err carries, 0 for success, or -1 for any other error.
func codeOf(err error) int {
	var refused *turn.Refused
	switch {
	case err == nil:
		return 0
	case errors.As(err, &refused):
		return refused.Code
	}
	return -1
}

// startEcho starts a peer that sends every packet back, and returns its address.
func startEcho(t *testing.T) netip.AddrPort {
	t.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(echoAddr, 0)))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 2048)
		for {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			_, _ = c.WriteToUDPAddrPort(b[:n], from) // a lost echo counts as a lost round trip
		}
	}()
	t.Cleanup(func() {
		c.Close()
		<-done
	})
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}
