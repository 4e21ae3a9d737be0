package sockets

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"go.uber.org/goleak"

	"icebox/turnserver/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// echoServer sends back everything it receives.
type echoServer struct {
	addr    netip.AddrPort
	mu      sync.Mutex
	clients map[string]bool
}

func (e *echoServer) recordClient(client net.Addr) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.clients[client.String()] = true
}

func (e *echoServer) clientCount() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.clients)
}

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// startEcho starts an echo server for a transport on host.
func startEcho(t *testing.T, transport Transport, host string) *echoServer {
	t.Helper()
	e := &echoServer{clients: make(map[string]bool)}
	address := net.JoinHostPort(host, "0")
	if transport == UDP {
		c, err := net.ListenPacket("udp", address)
		if err != nil {
			t.Fatal(err)
		}
		e.addr = c.LocalAddr().(*net.UDPAddr).AddrPort()
		stopWith(t, c, func() {
			buf := make([]byte, 2000)
			for {
				n, from, err := c.ReadFrom(buf)
				if err != nil {
					return
				}
				e.recordClient(from)
				_, _ = c.WriteTo(buf[:n], from)
			}
		})
		return e
	}
	l, err := listen(t, transport, address)
	if err != nil {
		t.Fatal(err)
	}
	switch a := l.Addr().(type) {
	case *net.TCPAddr:
		e.addr = a.AddrPort()
	case *net.UDPAddr:
		e.addr = a.AddrPort()
	}
	var conns sync.WaitGroup
	stopWith(t, l, func() {
		var open []net.Conn
		defer func() {
			for _, c := range open { // a DTLS client's close_notify may get lost
				_ = c.Close()
			}
			conns.Wait()
		}()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open = append(open, c)
			conns.Go(func() {
				e.recordClient(c.RemoteAddr())
				_, _ = io.Copy(c, c)
				_ = c.Close()
			})
		}
	})
	return e
}

func listen(t *testing.T, transport Transport, address string) (net.Listener, error) {
	switch transport {
	case TCP:
		return net.Listen("tcp", address)
	case TLS:
		return tls.Listen("tcp", address, &tls.Config{Certificates: []tls.Certificate{certificate(t)}})
	default:
		at := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(address))
		return dtls.ListenWithOptions("udp", at, dtls.WithCertificates(certificate(t)))
	}
}

// stopWith runs serve, which must return when the end of the test closes c.
func stopWith(t *testing.T, c io.Closer, serve func()) {
	done := make(chan struct{})
	go func() { defer close(done); serve() }()
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		<-done
	})
}

func openClients(t *testing.T, o ClientsOptions) Clients {
	t.Helper()
	o.TLS = &tls.Config{InsecureSkipVerify: true}
	l, err := OpenClients(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// queueText queues a ChannelData message with the given text as its data.
func queueText(t *testing.T, l Clients, client int, text string) {
	t.Helper()
	b := l.QueueMessage(client, wire.ChannelHeaderSize+len(text))
	if b == nil {
		t.Fatalf("client %d's queue is full", client)
	}
	wire.PutChannelHeader(b, wire.MinChannel, len(text))
	copy(b[wire.ChannelHeaderSize:], text)
}

// receiveTexts waits for n messages and returns them, each with the number of its client.
func receiveTexts(t *testing.T, l Clients, n int) []string {
	t.Helper()
	return receiveOrResend(t, l, n, nil)
}

// receiveOrResend is receiveTexts for a transport that may lose messages. If resend is not nil, it
// is called whenever nothing has arrived for a second, and duplicates are ignored.
func receiveOrResend(t *testing.T, l Clients, n int, resend func(have []string)) []string {
	t.Helper()
	var all []string
	for deadline, last := time.Now().Add(patience), time.Now(); len(all) < n; {
		if time.Now().After(deadline) {
			t.Fatalf("only %d of %d messages arrived: %v", len(all), n, all)
		}
		if err := l.Wait(time.Second); err != nil {
			t.Fatal(err)
		}
		if err := l.Receive(func(client int, message []byte, at int64) {
			_, data, _ := wire.ChannelData(message)
			if m := fmt.Sprintf("%d: %s", client, data); resend == nil || !slices.Contains(all, m) {
				all, last = append(all, m), time.Now()
			}
			if age := time.Since(time.Unix(0, at)); age < -time.Second || age > patience {
				t.Errorf("a message arrived %v ago", age)
			}
		}); err != nil {
			t.Fatal(err)
		}
		if resend != nil && len(all) < n && time.Since(last) > time.Second {
			resend(all)
			last = time.Now()
		}
	}
	slices.Sort(all)
	return all
}

func TestMessagesAreEchoed(t *testing.T) {
	cases := map[string]struct {
		host string
		o    ClientsOptions
	}{
		"udp, one socket":   {"127.0.0.1", ClientsOptions{Transport: UDP}},
		"udp, own sockets":  {"127.0.0.1", ClientsOptions{Transport: UDP, OwnSockets: true}},
		"udp, segments":     {"127.0.0.1", ClientsOptions{Transport: UDP, Segment: 9, Coalesce: true}},
		"udp, IPv6":         {"::1", ClientsOptions{Transport: UDP}},
		"tcp":               {"127.0.0.1", ClientsOptions{Transport: TCP}},
		"tcp, IPv6":         {"::1", ClientsOptions{Transport: TCP}},
		"tls":               {"127.0.0.1", ClientsOptions{Transport: TLS}},
		"dtls":              {"127.0.0.1", ClientsOptions{Transport: DTLS}},
		"udp, high numbers": {"127.0.0.1", ClientsOptions{Transport: UDP, First: 70}},
		"udp, 40 sockets":   {"127.0.0.1", ClientsOptions{Transport: UDP, OwnSockets: true, Clients: 40}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			e := startEcho(t, c.o.Transport, c.host)
			c.o.Server, c.o.MessageSize, c.o.Clients = e.addr, 100, max(3, c.o.Clients)
			l := openClients(t, c.o)
			var want []string
			for client := range c.o.Clients {
				for i := range 2 {
					text := fmt.Sprintf("%02d-%d!", client, i) // 5 bytes, so streams need padding
					queueText(t, l, client, text)
					want = append(want, fmt.Sprintf("%d: %s", client, text))
				}
			}
			l.Flush()
			slices.Sort(want)
			var resend func(have []string)
			if c.o.Transport == DTLS { // Pion's server may drop a record that arrives while the handshake ends
				resend = func(have []string) {
					for _, w := range want {
						if client, text, _ := strings.Cut(w, ": "); !slices.Contains(have, w) {
							n, _ := strconv.Atoi(client)
							queueText(t, l, n, text)
						}
					}
					l.Flush()
				}
			}
			if got := receiveOrResend(t, l, len(want), resend); !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
			if n := e.clientCount(); n != c.o.Clients {
				t.Errorf("the server saw %d clients", n)
			}
			if lost, err := l.SendFailures(); lost != 0 || err != nil {
				t.Errorf("%d lost: %v", lost, err)
			}
		})
	}
}

func TestReconnectGivesANewAddress(t *testing.T) {
	for _, o := range []ClientsOptions{{Transport: UDP}, {Transport: UDP, OwnSockets: true}, {Transport: TCP}, {Transport: TLS}, {Transport: DTLS}} {
		t.Run(fmt.Sprint(o.Transport, " own ", o.OwnSockets), func(t *testing.T) {
			e := startEcho(t, o.Transport, "127.0.0.1")
			o.Server, o.MessageSize, o.Clients = e.addr, 100, 2
			l := openClients(t, o)
			for range 3 {
				queueText(t, l, 0, "a")
				queueText(t, l, 1, "b")
				l.Flush()
				if got := receiveTexts(t, l, 2); !slices.Equal(got, []string{"0: a", "1: b"}) {
					t.Fatalf("got %v", got)
				}
				if err := l.Reconnect(1); err != nil {
					t.Fatal(err)
				}
			}
			queueText(t, l, 1, "c")
			l.Flush()
			receiveTexts(t, l, 1)
			if n := e.clientCount(); n != 1+4 {
				t.Errorf("the server saw %d clients, want 5: client 0, and client 1 at 4 addresses", n)
			}
		})
	}
}

// Frames may arrive in pieces of any length.
func TestSplitMessages(t *testing.T) {
	var stream []byte
	var want []string
	for i, size := range []int{0, 1, 4, 5, 1000, 3} {
		data := bytes.Repeat([]byte{byte('a' + i)}, size)
		frame := make([]byte, wire.Pad4(wire.ChannelHeaderSize+size))
		wire.PutChannelHeader(frame, wire.MinChannel, size)
		copy(frame[wire.ChannelHeaderSize:], data)
		stream = append(stream, frame...)
		want = append(want, string(data))
	}
	for _, piece := range []int{1, 3, 7, 500, len(stream)} {
		var got []string
		var rest []byte
		for b := stream; len(b) > 0; {
			n := min(piece, len(b))
			var err error
			rest, err = splitMessages(append(slices.Clone(rest), b[:n]...), 0, func(_ int, m []byte, _ int64) {
				_, data, _ := wire.ChannelData(m)
				got = append(got, string(data))
			})
			if err != nil {
				t.Fatal(err)
			}
			b = b[n:]
		}
		if !slices.Equal(got, want) || len(rest) != 0 {
			t.Errorf("in pieces of %d bytes: got %q, %d bytes left over", piece, got, len(rest))
		}
	}
	if _, err := splitMessages([]byte{0xFF, 0, 0, 0}, 0, nil); !errors.Is(err, wire.ErrFrame) {
		t.Errorf("splitMessages of an invalid frame: %v, want ErrFrame", err)
	}
}

// A server that does not read fills its client's stream, which must not block the other clients.
func TestFullStreamDropsMessages(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	clients := openClients(t, ClientsOptions{Server: l.Addr().(*net.TCPAddr).AddrPort(), Transport: TCP, Clients: 2, MessageSize: 1004})
	for range 100_000 {
		b := clients.QueueMessage(0, 1004)
		if b == nil {
			if clients.QueueMessage(1, 1004) == nil {
				t.Error("the other client's stream is full as well")
			}
			return
		}
		clients.Flush()
	}
	t.Error("a stream whose server does not read never became full")
}

func TestReceiveReportsAClosedStream(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stopWith(t, l, func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	})
	clients := openClients(t, ClientsOptions{Server: l.Addr().(*net.TCPAddr).AddrPort(), Transport: TCP, Clients: 1, MessageSize: 100})
	if err := clients.Wait(patience); err != nil {
		t.Fatal(err)
	}
	if err := clients.Receive(func(int, []byte, int64) {}); !errors.Is(err, io.EOF) {
		t.Errorf("Receive: %v, want EOF", err)
	}
}

func TestOpenFailsWithoutAServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := l.Addr().(*net.TCPAddr).AddrPort()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, transport := range []Transport{TCP, TLS, "sctp"} {
		if _, err := OpenClients(ClientsOptions{Server: server, Transport: transport, Clients: 1, MessageSize: 10}); err == nil {
			t.Errorf("clients over %s were opened", transport)
		}
	}
}
