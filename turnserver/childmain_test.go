package turnserver

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pion/logging"
	"github.com/pion/turn/v3"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"icebox/turnserver/credential"
)

// A child is a server in a process of its own, which an attack may kill: this test
// binary again, told by childEnv to be stock Pion ("pion") or icebox ("icebox").
// Options follow behind commas:
//
//	drip    the listener's connections deliver one byte a Read
//	emfile  the listener's first Accept fails for want of a file descriptor
//	default the peer policy is the one that nobody has configured
const childEnv = "ICEBOX_TURN_TEST_CHILD"

type childAddrs struct{ UDP, TCP netip.AddrPort }

// childStats is what a child says about itself.
type childStats struct {
	LogLines   int64
	CPU        time.Duration
	StackBytes uint64
	Goroutines int
	Accepts    int64 // calls of the listener's Accept
	Listening  bool  // a goroutine is in stock Pion's accept loop, or in icebox's
	Drops      map[string]float64
}

// childMain serves until its standard input ends, and answers the commands there.
func childMain(spec string) int {
	kind, options, _ := strings.Cut(spec, ",")
	lines := new(lineCounter)
	udp, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback4, 0)))
	if err != nil {
		return childFailed(err)
	}
	tcp, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(netip.AddrPortFrom(loopback4, 0)))
	if err != nil {
		return childFailed(err)
	}
	l := &childListener{Listener: tcp, drip: strings.Contains(options, "drip")}
	l.fail.Store(strings.Contains(options, "emfile"))

	var closeServer func() error
	drops := func() map[string]float64 { return nil }
	if kind == "pion" {
		closeServer, err = childPion(udp, l, lines)
	} else {
		closeServer, drops, err = childIcebox(udp, l, lines, strings.Contains(options, "default"))
	}
	if err != nil {
		return childFailed(err)
	}
	out := json.NewEncoder(os.Stdout)
	_ = out.Encode(childAddrs{udp.LocalAddr().(*net.UDPAddr).AddrPort(), tcp.Addr().(*net.TCPAddr).AddrPort()}) // the parent notices
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if in.Text() == "close" {
			if err := closeServer(); err != nil {
				return childFailed(err)
			}
		}
		_ = out.Encode(measure(l, lines, drops()))
	}
	return 0
}

func childFailed(err error) int {
	fmt.Fprintln(os.Stderr, "child:", err)
	return 1
}

func measure(l *childListener, lines *lineCounter, drops map[string]float64) childStats {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return childStats{
		LogLines:   lines.n.Load(),
		CPU:        cpuTime(),
		StackBytes: mem.StackInuse,
		Goroutines: runtime.NumGoroutine(),
		Accepts:    l.accepts.Load(),
		Listening:  bytes.Contains(stacks, []byte("(*Server).readListener(0x")) || bytes.Contains(stacks, []byte("streamio.Accept(")),
		Drops:      drops,
	}
}

func childPion(udp *net.UDPConn, l net.Listener, log io.Writer) (func() error, error) {
	generator := &turn.RelayAddressGeneratorStatic{RelayAddress: net.IPv4(127, 0, 0, 1), Address: "127.0.0.1"}
	s, err := turn.NewServer(turn.ServerConfig{
		Realm: testRealm,
		AuthHandler: func(user, realm string, _ net.Addr) ([]byte, bool) {
			return turn.GenerateAuthKey(user, realm, testPass), true
		},
		LoggerFactory:     &logging.DefaultLoggerFactory{Writer: log, DefaultLogLevel: logging.LogLevelInfo},
		PacketConnConfigs: []turn.PacketConnConfig{{PacketConn: udp, RelayAddressGenerator: generator}},
		ListenerConfigs:   []turn.ListenerConfig{{Listener: l, RelayAddressGenerator: generator}},
	})
	if err != nil {
		return nil, err
	}
	return s.Close, nil
}

func childIcebox(udp *net.UDPConn, l net.Listener, log io.Writer, defaultPeers bool) (func() error, func() map[string]float64, error) {
	v, err := credential.NewVerifier(credential.VerifierOptions{Realm: testRealm, Users: []credential.User{{Name: testUser, Password: testPass}}})
	if err != nil {
		return nil, nil, err
	}
	limits := Limits{Credentials: v}
	if !defaultPeers {
		limits.Peers = allowLoopback
	}
	s, err := New(Options{
		Realm:      testRealm,
		RelayAddrs: []RelayAddr{{Local: own4, Advertised: own4}},
		Logger:     slog.New(slog.NewTextHandler(log, nil)),
	}, limits)
	if err != nil {
		return nil, nil, err
	}
	if err := s.AddUDP(udp, UDPOptions{}); err != nil {
		return nil, nil, err
	}
	drops := func() map[string]float64 {
		m := make(map[string]float64)
		for d := range dropReasons {
			m[d.String()] = testutil.ToFloat64(s.drops[d])
		}
		return m
	}
	return s.Close, drops, s.AddListener(l, TCP)
}

// lineCounter is a log that remembers only how long it is.
type lineCounter struct{ n atomic.Int64 }

func (c *lineCounter) Write(b []byte) (int, error) {
	c.n.Add(int64(bytes.Count(b, []byte("\n"))))
	return len(b), nil
}

// childListener injects the faults that a child was asked for.
type childListener struct {
	net.Listener
	drip    bool
	fail    atomic.Bool
	accepts atomic.Int64
}

func (l *childListener) Accept() (net.Conn, error) {
	l.accepts.Add(1)
	if l.fail.CompareAndSwap(true, false) {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	c, err := l.Listener.Accept()
	if err == nil && l.drip {
		c = &drippingConn{c}
	}
	return c, err
}

type drippingConn struct{ net.Conn }

func (c *drippingConn) Read(b []byte) (int, error) { return c.Conn.Read(b[:min(1, len(b))]) }
