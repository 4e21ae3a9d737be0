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

// tool runs one of coturn's clients, for at most 60 s, and returns its output.
func tool(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	return toolFor(t, 60*time.Second, name, args...)
}

// toolFor is tool with a time limit of d, after which it kills the client.
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

// uclient runs turnutils_uclient. It must exit with status 0, must have sent at least atLeast
// messages, and must have received all of them back.
func uclient(t *testing.T, atLeast int, args ...string) {
	t.Helper()
	out, err := tool(t, "turnutils_uclient", args...)
	lost, total := lostLine.FindStringSubmatch(out), totalLine.FindStringSubmatch(out)
	if err != nil || lost == nil || total == nil {
		t.Fatalf("turnutils_uclient %s: %v:\n%s", strings.Join(args, " "), err, out)
	}
	sent, err := strconv.Atoi(total[1])
	if err != nil || lost[1] != "0" || total[1] != total[2] || sent < atLeast {
		t.Errorf("turnutils_uclient %s: sent %s, received %s, lost %s; want at least %d and none lost",
			strings.Join(args, " "), total[1], total[2], lost[1], atLeast)
	}
}

// login returns the arguments that name the relay and its shared secret. The port depends on the
// other flags, unless those already contain one.
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

// echo starts coturn's echo peer and returns the flags that name it. Its address is not one that a
// relay in these tests listens on, because a relay denies its own addresses as peers.
func echo(t *testing.T) []string {
	t.Helper()
	const host = "127.0.0.9"
	port := strconv.Itoa(server.FreePort(t))
	server.StartPeer(t, host, port)
	return []string{"-e", host, "-r", port}
}

// Over TLS, coturn's client takes the result of one read of its TLS library for one message. icebox
// and coturn both write several messages at once if they arrive together, and then the client
// counts one as lost. So over the client's own TLS (oneByOne), each of many clients gets only one
// message. Runs with more messages use tlsInFront, with which the client parses the stream
// correctly.

// oneByOne are the flags for ten clients with one message each, over TLS to an echo peer.
var oneByOne = []string{"-t", "-S", "-c", "-X", "-n", "1", "-m", "10"}

// tlsInFront listens for plain TCP, forwards each connection over TLS to a port, and returns its
// own port.
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

// pass forwards one connection until either end closes it.
func pass(t *testing.T, c net.Conn, target string, config *tls.Config) {
	defer c.Close()
	d, err := tls.Dial("tcp", target, config)
	if err != nil {
		t.Errorf("connect to the relay over TLS: %v", err)
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(d, c) // ends when either side closes; the client counts the losses
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

// stunclient asks for a server-reflexive address with coturn's STUN client.
func stunclient(t *testing.T, host string, p server.Ports) {
	t.Helper()
	out, err := tool(t, "turnutils_stunclient", "-p", strconv.Itoa(p.Plain), host)
	if err != nil || !strings.Contains(out, "UDP reflexive addr: "+host) {
		t.Errorf("turnutils_stunclient: %v:\n%s", err, out)
	}
}
