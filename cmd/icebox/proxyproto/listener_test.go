package proxyproto

import (
	"io"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listen returns a listener that trusts 127.0.0.1 only.
func listen(t *testing.T) net.Listener {
	t.Helper()
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := Listen(raw, func(a netip.Addr) bool { return a == netip.MustParseAddr("127.0.0.1") }, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { _ = l.Close(); l.Wait() })
	return l
}

func dial(t *testing.T, l net.Listener, from, text string) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 10 * time.Second}).Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestListener(t *testing.T) {
	const header = "PROXY TCP4 203.0.113.9 192.0.2.1 33333 443\r\n"
	for name, test := range map[string]struct{ from, text, remote, local, left string }{
		"trusted":             {"127.0.0.1", header + "hello", "203.0.113.9:33333", "192.0.2.1:443", "hello"},
		"trusted, for itself": {"127.0.0.1", "PROXY UNKNOWN\r\nhello", "", "", "hello"},
		"not trusted":         {"127.0.0.2", header, "", "", header},
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t)
			client := dial(t, l, test.from, test.text)
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			if test.remote == "" {
				test.remote, test.local = client.LocalAddr().String(), client.RemoteAddr().String()
			}
			if c.RemoteAddr().String() != test.remote || c.LocalAddr().String() != test.local {
				t.Errorf("from %v to %v, want %s to %s", c.RemoteAddr(), c.LocalAddr(), test.remote, test.local)
			}
			_ = client.(*net.TCPConn).CloseWrite()
			if left, err := io.ReadAll(c); string(left) != test.left || err != nil {
				t.Errorf("left %q, %v, want %q", left, err, test.left)
			}
		})
	}
}

// TestSilentProxy: a trusted proxy that sends no header delays no other connection, and its own connection is closed.
func TestSilentProxy(t *testing.T) {
	l := listen(t)
	silent := dial(t, l, "127.0.0.1", "PROX")
	wrong := dial(t, l, "127.0.0.1", "GET / HTTP/1.1\r\n\r\n")
	dial(t, l, "127.0.0.2", "x")
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if n, err := wrong.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d, %v from a connection that should be closed", n, err)
	}
	_ = l.Close()
	if n, err := silent.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d, %v from a connection that should be closed", n, err)
	}
}
