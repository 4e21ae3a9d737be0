package turnserver

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
)

// A connection whose handshake fails or never begins is closed, and is not counted any more.
func TestTLSHandshake(t *testing.T) {
	ts := serve(t, relayApart)
	addr := ts.addrs["tls4"].String()
	try := func(edit func(*tls.Config)) (tls.ConnectionState, error) {
		config := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the certificate is made by the test
		edit(config)
		conn, err := tls.Dial("tcp", addr, config)
		if err != nil {
			return tls.ConnectionState{}, err
		}
		defer conn.Close()
		return conn.ConnectionState(), nil
	}
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		if _, err := try(func(c *tls.Config) { c.MinVersion, c.MaxVersion = version, version }); err == nil {
			t.Errorf("version %#x is served", version)
		}
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		if _, err := try(func(c *tls.Config) { c.MinVersion, c.MaxVersion = version, version }); err != nil {
			t.Errorf("version %#x: %v", version, err)
		}
	}
	for _, alpn := range []string{"", "stun.turn", "stun.nat-discovery"} {
		state, err := try(func(c *tls.Config) {
			if alpn != "" {
				c.NextProtos = []string{"h2", alpn}
			}
		})
		if err != nil || state.NegotiatedProtocol != alpn {
			t.Errorf("ALPN %q: %q, %v", alpn, state.NegotiatedProtocol, err)
		}
	}
	if _, err := try(func(c *tls.Config) { c.NextProtos = []string{"h2"} }); err == nil {
		t.Error("ALPN h2 is served")
	}
	garbage, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer garbage.Close()
	ts.awaitDrop(t, DropHandshake, func() {
		if _, err := garbage.Write([]byte("not a handshake")); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := io.Copy(io.Discard, garbage); err != nil && errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	ts.awaitStreams(t, 0)
}
