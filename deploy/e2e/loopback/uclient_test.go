package loopback

import (
	"context"
	"net"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"icebox/deploy/e2e/server"
)

// transports are the flags of coturn's client for each way to a relay.
var transports = map[string]struct {
	flags  []string
	secure bool
}{
	"udp":  {},
	"tcp":  {flags: []string{"-t"}},
	"tls":  {flags: []string{"-t", "-S"}, secure: true},
	"dtls": {flags: []string{"-S"}, secure: true},
}

// tool runs one of coturn's clients to its end.
func tool(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
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

// login are the flags that name the relay and sign in with its shared secret.
func login(host string, p server.Ports, secure bool, secret string) []string {
	port := p.Plain
	if secure {
		port = p.Secure
	}
	return []string{"-p", strconv.Itoa(port), "-u", "user", "-W", secret, host}
}

// echo starts coturn's peer, which sends every packet back, and returns the flags that name it.
func echo(t *testing.T, host string) []string {
	t.Helper()
	port := strconv.Itoa(server.FreePort(t))
	server.StartPeer(t, host, port)
	return []string{"-e", host, "-r", port}
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
	if err != nil || !strings.Contains(out, "UDP reflexive addr: "+host) && !strings.Contains(out, net.JoinHostPort(host, "")) {
		t.Errorf("turnutils_stunclient: %v:\n%s", err, out)
	}
}
