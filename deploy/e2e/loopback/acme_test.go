package loopback

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pion/dtls/v3"

	"icebox/deploy/e2e/server"
)

// TestACME lets Pebble issue certificates that are valid for ten seconds, once by HTTP-01 and once
// by TLS-ALPN-01 on a port that the web and TURN share. The daemon must renew them after half of
// that time, and serve the new certificate over HTTPS, TURN over TLS and DTLS. A DTLS client whose
// call spans the renewal must lose nothing.
func TestACME(t *testing.T) {
	t.Parallel()
	const validity = 10 * time.Second
	authority := server.StartPebble(t, files, validity)
	peer := echo(t)
	for kind, listen := range map[string]struct {
		turn int
		http string
	}{
		"HTTP-01":     {server.FreePort(t), fmt.Sprintf(`{address: "127.0.0.1:%d"}, `, authority.HTTP)},
		"TLS-ALPN-01": {authority.TLS, ""},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			name := strings.ToLower(kind) + ".icebox.test"
			b := server.StartIcebox(t, server.IceboxOptions{Config: fmt.Sprintf(`
public_host: %[1]s
tls: {acme: {directory: %[2]q, authority: %[3]q, email: me@example.org}}
turn:
  listen: [{address: "127.0.0.1:%[4]d", transports: [udp, tls, dtls]}]
  relay_ports: 61000-65535
  peers: [{allow: 127.0.0.0/8}]
credentials: {secrets: [{secret: %[5]q}]}
http: {listen: [%[6]s{address: "127.0.0.1:%[4]d", tls: true}]}
shutdown: {drain: 100ms}
`, name, authority.Directory, files.CA, listen.turn, secret, listen.http)})
			c := issued{t, name, "127.0.0.1:" + strconv.Itoa(listen.turn), roots(t, authority)}
			first := c.await("")
			call := c.begin(peer, listen.turn)
			second := c.await(first)
			for kind, serial := range c.serials() {
				if serial == first {
					t.Errorf("%s still has serial %s after the renewal to %s", kind, first, second)
				}
			}
			if out, err := call(); err != nil || !strings.Contains(out, "Total lost packets 0 ") {
				t.Errorf("the call that spanned the renewal: %v\n%s", err, out)
			}
			if expiry := b.Metric("icebox_certificate_expiry_timestamp_seconds"); time.Until(time.Unix(int64(expiry), 0)) > validity {
				t.Errorf("the metric says the certificate expires at %v", expiry)
			}
		})
	}
}

// roots returns the root certificate of the authority.
func roots(t *testing.T, p *server.Pebble) *x509.CertPool {
	t.Helper()
	web := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: trusting(t)}}
	reply, err := web.Get(p.Roots)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if block, _ := pem.Decode(text); block == nil || !pool.AppendCertsFromPEM(text) {
		t.Fatalf("the authority's root certificate is %s", text)
	}
	return pool
}

// issued is a daemon that has a certificate of the authority for one name.
type issued struct {
	t     *testing.T
	name  string
	addr  string
	roots *x509.CertPool
}

// serials returns the serial numbers of the certificates that the daemon serves, by protocol. They
// must be valid.
func (c issued) serials() map[string]string {
	c.t.Helper()
	web, err := c.overTLS("http/1.1")
	if err != nil {
		c.t.Fatal(err)
	}
	turn, err := c.overTLS("stun.turn")
	if err != nil {
		c.t.Fatal(err)
	}
	datagrams, err := c.overDTLS()
	if err != nil {
		c.t.Fatal(err)
	}
	return map[string]string{"HTTPS": web, "TURN over TLS": turn, "DTLS": datagrams}
}

func (c issued) overTLS(protocol string) (serial string, err error) {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	conn, err := tls.DialWithDialer(dialer, "tcp", c.addr, &tls.Config{RootCAs: c.roots, ServerName: c.name, NextProtos: []string{protocol}})
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String(), nil
}

func (c issued) overDTLS() (serial string, err error) {
	remote, err := net.ResolveUDPAddr("udp", c.addr)
	if err != nil {
		return "", err
	}
	conn, err := dtls.DialWithOptions("udp", remote, dtls.WithRootCAs(c.roots), dtls.WithServerName(c.name))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		return "", err
	}
	state, _ := conn.ConnectionState()
	leaf, err := x509.ParseCertificate(state.PeerCertificates[0])
	if err != nil {
		return "", err
	}
	return leaf.SerialNumber.String(), nil
}

// await waits for a certificate whose serial number is not before, and returns its serial number.
func (c issued) await(before string) (serial string) {
	c.t.Helper()
	end := time.Now().Add(40 * time.Second)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		serial, err := c.overTLS("http/1.1")
		if err == nil && serial != before {
			return serial
		}
		if time.Now().After(end) {
			c.t.Fatalf("no certificate other than %q for %s: %v", before, c.name, err)
		}
		<-tick.C
	}
}

// begin starts a call over DTLS that lasts for about nine seconds, and returns a function that
// waits for its end.
func (c issued) begin(peer []string, port int) (end func() (string, error)) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	c.t.Cleanup(cancel)
	args := join([]string{"-S", "-X", "-c", "-n", "450", "-p", strconv.Itoa(port)}, peer, []string{"-u", "user", "-W", secret, "127.0.0.1"})
	cmd := exec.CommandContext(ctx, "turnutils_uclient", args...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	return func() (string, error) { err := cmd.Wait(); return out.String(), err }
}
