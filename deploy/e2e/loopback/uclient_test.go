package loopback

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"icebox/deploy/e2e/server"
)

// tool runs one of coturn's clients to its end.
func tool(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	return toolFor(t, 60*time.Second, name, args...)
}

// toolFor does the same, and kills it after d.
func toolFor(t *testing.T, d time.Duration, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	return string(out), err
}

var (
	lostLine  = regexp.MustCompile(`Total lost packets (\d+) `)
	totalLine = regexp.MustCompile(`tot_send_msgs=(\d+), tot_recv_msgs=(\d+)\n`)
)

// uclient runs turnutils_uclient, which has to exit with 0, to have sent and received that many messages at least, and to
// have lost none.
func uclient(t *testing.T, atLeast int, args ...string) {
	t.Helper()
	out, err := tool(t, "turnutils_uclient", args...)
	lost, total := lostLine.FindStringSubmatch(out), totalLine.FindStringSubmatch(out)
	if err != nil || lost == nil || total == nil {
		t.Fatalf("turnutils_uclient %s: %v:\n%s", strings.Join(args, " "), err, out)
	}
	sent, err := strconv.Atoi(total[1])
	if err != nil || lost[1] != "0" || total[1] != total[2] || sent < atLeast {
		t.Errorf("turnutils_uclient %s: sent %s, received %s, lost %s; want %d or more and none lost",
			strings.Join(args, " "), total[1], total[2], lost[1], atLeast)
	}
}

// login are the arguments that name the relay and sign in with its shared secret; the port depends on the other flags,
// which may name one themselves.
func login(host string, p server.Ports, flags []string, secret string) []string {
	args := []string{"-u", "user", "-W", secret, host}
	switch {
	case slices.Contains(flags, "-p"):
		return args
	case slices.Contains(flags, "-S"):
		return append([]string{"-p", strconv.Itoa(p.Secure)}, args...)
	default:
		return append([]string{"-p", strconv.Itoa(p.Plain)}, args...)
	}
}

// echo starts coturn's peer, which sends every packet back, and returns the flags that name it. Its address is not one that a
// relay in these tests listens on, since a relay's own addresses are never peers.
func echo(t *testing.T) []string {
	t.Helper()
	const host = "127.0.0.9"
	port := strconv.Itoa(server.FreePort(t))
	server.StartPeer(t, host, port)
	return []string{"-e", host, "-r", port}
}

// Over TLS, coturn's client takes whatever one read of its TLS library returns for one message. When a relay has written
// two at once, as icebox and coturn both do with what has come together, it counts one as lost. So over its own TLS
// (oneByOne) each of many clients is sent one message only, and what sends more goes through tlsInFront, where the client
// parses the stream properly.

// oneByOne are the flags of ten clients with one message each, over TLS to an echo peer.
var oneByOne = []string{"-t", "-S", "-c", "-X", "-n", "1", "-m", "10"}

// tlsInFront listens for plain TCP and passes it on to a TLS port; it returns its own port.
func tlsInFront(t *testing.T, port int) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config, target := trusting(t), net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed below
			}
			running.Go(func() { pass(t, c, target, config) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	_, own, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return own
}

// pass carries one connection until either end closes it.
func pass(t *testing.T, c net.Conn, target string, config *tls.Config) {
	defer c.Close()
	d, err := tls.Dial("tcp", target, config)
	if err != nil {
		t.Errorf("TLS to the relay: %v", err)
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(d, c) // ends when either side closes; what is lost the client counts
		d.Close()
	}()
	_, _ = io.Copy(c, d)
	c.Close()
	<-done
}

func join(lists ...[]string) []string {
	var all []string
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// stunclient asks for a reflexive address with coturn's STUN client.
func stunclient(t *testing.T, host string, p server.Ports) {
	t.Helper()
	out, err := tool(t, "turnutils_stunclient", "-p", strconv.Itoa(p.Plain), host)
	if err != nil || !strings.Contains(out, "UDP reflexive addr: "+host) {
		t.Errorf("turnutils_stunclient: %v:\n%s", err, out)
	}
}
