package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"icebox/turnserver"
	"icebox/turnserver/credential"
	"icebox/turnserver/peer"
)

const (
	testUser   = "alice"
	testPass   = "right"
	testSecret = "a secret that is shared"
)

// serve starts a TURN server in this process and returns its address.
func serve(t *testing.T) string {
	t.Helper()
	verifier, err := credential.NewVerifier(credential.VerifierOptions{
		Realm:  "test",
		Users:  []credential.User{{Name: testUser, Password: testPass}},
		Shared: [][]byte{[]byte(testSecret)},
	})
	if err != nil {
		t.Fatal(err)
	}
	loopback := netip.MustParseAddr("127.0.0.1")
	s, err := turnserver.New(turnserver.Options{
		Realm:      "test",
		RelayAddrs: []turnserver.RelayAddr{{Local: loopback, Advertised: loopback}},
	}, turnserver.Limits{
		Credentials: verifier, AllocationsPerUser: 10,
		Peers: []peer.Rule{{Prefix: netip.MustParsePrefix("127.0.0.0/8"), Allow: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		t.Fatal(err)
	}
	address := c.LocalAddr().String()
	if err := s.AddUDP(c, turnserver.UDPOptions{}); err != nil {
		t.Fatal(err)
	}
	return address
}

// iceload runs the program.
func iceload(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(args, &out, &errs)
	return status, out.String(), errs.String()
}

// report runs the program with --json and decodes what it prints.
func report[T any](t *testing.T, args ...string) T {
	t.Helper()
	status, stdout, stderr := iceload(append(args, "--json")...)
	var r T
	if err := json.Unmarshal([]byte(stdout), &r); status != exitOK || err != nil {
		t.Fatalf("status %d, %v\n%s\n%s", status, err, stdout, stderr)
	}
	return r
}

func TestTurn(t *testing.T) {
	server := serve(t)
	args := []string{"turn", "--server", server, "--user", testUser, "--password", testPass, "--pid", fmt.Sprint(os.Getpid()),
		"--allocations", "3", "--rate", "1000", "--size", "100", "--burst", "2", "--duration", "200ms", "--warmup", "20ms"}
	r := report[turnReport](t, args...)
	// The generator skips the packets for which the machine makes it too late.
	if r.Relayed.Sent+r.Generator.Skipped < 150 || r.Relayed.Lost != 0 || r.Relayed.Up.Latency.P50 <= 0 || r.Relayed.Down.Latency.P99 <= 0 {
		t.Errorf("relayed %+v, skipped %d", r.Relayed, r.Generator.Skipped)
	}
	if r.SetUp.Allocations != 3 || r.SetUp.Requests["allocate"].P50 <= 0 || r.Server.CPUPerPacket <= 0 || r.Server.ResidentAfter == 0 || r.Generator.CPUPerPacket <= 0 {
		t.Errorf("report %+v", r)
	}
	status, stdout, _ := iceload(args...)
	for _, want := range []string{"3 allocations over udp", "0 lost", "us CPU per packet", "MiB before"} {
		if status != exitOK || !strings.Contains(stdout, want) {
			t.Errorf("status %d, %q is missing from\n%s", status, want, stdout)
		}
	}
}

// With a shared secret each allocation has a user of its own, so the quota per user does not apply
// to all of them together.
func TestSecretGivesEachAllocationAUser(t *testing.T) {
	server := serve(t)
	common := []string{"turn", "--server", server, "--allocations", "12", "--duration", "20ms", "--warmup", "0s"}
	r := report[turnReport](t, append(common, "--secret", testSecret)...)
	if r.SetUp.Allocations != 12 || r.Server != nil {
		t.Errorf("report %+v", r)
	}
	status, _, stderr := iceload(append(common, "--user", testUser, "--password", testPass)...)
	if status != exitFailure || !strings.Contains(stderr, "only 10 allocations could be set up") || !strings.Contains(stderr, "486") {
		t.Errorf("status %d: %s", status, stderr)
	}
}

func TestChurn(t *testing.T) {
	server := serve(t)
	args := []string{"churn", "--server", server, "--user", testUser, "--password", testPass, "--pid", fmt.Sprint(os.Getpid()),
		"--concurrency", "3", "--cycles", "20", "--duration", "1m"}
	r := report[churnReport](t, args...)
	if r.Cycles < 20 || r.Cycles > 23 || r.Cycle.P50 <= 0 || len(r.Failures) > 0 || r.Process.CPUPerCycle <= 0 || len(r.Requests) != 5 {
		t.Errorf("report %+v", r)
	}
	if status, stdout, _ := iceload(args...); status != exitOK || !strings.Contains(stdout, "us CPU per cycle") {
		t.Errorf("status %d:\n%s", status, stdout)
	}
}

func TestMemory(t *testing.T) {
	server := serve(t)
	args := []string{"memory", "--server", server, "--secret", testSecret, "--pid", fmt.Sprint(os.Getpid()), "--counts", "2,8"}
	r := report[memoryReport](t, args...)
	if len(r.Steps) != 2 || r.Steps[1].Allocations != 8 || r.Steps[1].Resident == 0 {
		t.Errorf("report %+v", r)
	}
	if status, stdout, _ := iceload(args...); status != exitOK || !strings.Contains(stdout, "bytes for each allocation") {
		t.Errorf("status %d:\n%s", status, stdout)
	}
}

func TestCommandLineErrors(t *testing.T) {
	some := []string{"--server", "127.0.0.1:9", "--user", "u"}
	pid := append(some, "--pid", fmt.Sprint(os.Getpid()))
	cases := []struct {
		want string
		args []string
	}{
		{"unknown command", []string{"fly"}},
		{"unknown flag", []string{"turn", "--fast"}},
		{"--server is missing", []string{"turn"}},
		{"one of --user and --secret", []string{"turn", "--server", "127.0.0.1"}},
		{"one of --user and --secret", append([]string{"turn", "--secret", "s"}, some...)},
		{"is not a port", []string{"turn", "--server", "127.0.0.1:turn"}},
		{"is an attack", []string{"turn", "--server", "198.51.100.7", "--user", "u"}},
		{"is an attack", []string{"churn", "--server", "198.51.100.7", "--user", "u"}},
		{"is an attack", []string{"memory", "--server", "[2001:db8::7]:3478", "--ipv6", "--user", "u", "--pid", "1"}},
		{"none of the others can be", append([]string{"turn", "--channels", "--indications"}, some...)},
		{"rate is 0", append([]string{"turn", "--rate", "0"}, some...)},
		{"size is 10", append([]string{"turn", "--size", "10"}, some...)},
		{"direction is", append([]string{"turn", "--direction", "left"}, some...)},
		{"--duration must be", append([]string{"turn", "--duration", "100h"}, some...)},
		{"--allocations is 99999", append([]string{"turn", "--allocations", "99999"}, some...)},
		{"--peer-address", append([]string{"turn", "--peer-address", "here"}, some...)},
		{"must be of the same family", append([]string{"turn", "--peer-address", "::1"}, some...)},
		{"process 999999999", append([]string{"turn", "--pid", "999999999"}, some...)},
		{"--cycles", append([]string{"churn", "--cycles", "0"}, some...)},
		{"ascending order", append([]string{"memory", "--counts", "5"}, pid...)},
		{`"pid" not set`, append([]string{"memory"}, some...)},
		{"are missing", []string{"compare"}},
		{"two contenders are called", []string{"compare", "--icebox", "a", "--icebox", "b"}},
		{"no contender is called", []string{"compare", "--icebox", "a", "--reference", "b"}},
		{"--set is", []string{"compare", "--icebox", "a", "--set", "all"}},
		{"unknown key", []string{"compare", "--icebox", "a", "--row", "speed=1"}},
		{"nothing to compare", []string{"compare", "--icebox", "a", "--set", "none"}},
		{"--rounds", []string{"compare", "--icebox", "a", "--rounds", "0"}},
		{"not a loopback address", []string{"compare", "--icebox", "a", "--address", "192.0.2.1"}},
	}
	for _, c := range cases {
		status, stdout, stderr := iceload(c.args...)
		if status != exitUsage || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: status %d, want %q in %s%s", c.args, status, c.want, stderr, stdout)
		}
	}
}

func TestNoServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	status, _, stderr := iceload("turn", "--server", address, "--transport", "tcp", "--user", "u", "--password", "p")
	if status != exitFailure || !strings.Contains(stderr, "connect") {
		t.Errorf("status %d: %s", status, stderr)
	}
}

// Compares an icebox built from this tree with itself.
func TestCompare(t *testing.T) {
	icebox := filepath.Join(t.TempDir(), "icebox")
	if out, err := exec.Command("go", "build", "-o", icebox, "icebox/cmd/icebox").CombinedOutput(); err != nil {
		t.Fatalf("build icebox: %v\n%s", err, out)
	}
	args := []string{"compare", "--icebox", "one=" + icebox, "--icebox", "two=" + icebox, "--reference", "two",
		"--rounds", "2", "--duration", "100ms", "--warmup", "0s", "--set", "none", "--churn", "--memory", "--counts", "5,20",
		"--row", "rate=1000,allocations=5,name=udp", "--row", "rate=500,allocations=3,transport=tls,name=tls",
		"--row", "rate=500,allocations=3,transport=dtls,name=dtls"}
	r := report[compareReport](t, args...)
	var names []string
	for _, test := range r.Tests {
		names = append(names, test.Name)
		for _, s := range test.Servers {
			if len(s.Runs) != 2 || s.Value.Median == 0 && !strings.HasPrefix(test.Name, "memory") {
				t.Errorf("%s, %s: %+v", test.Name, s.Name, s)
			}
		}
	}
	if got := strings.Join(names, "; "); got != "udp; tls; dtls; churn, udp, 32 clients at a time; memory, udp, 5 to 20 allocations" || r.Reference != "two" {
		t.Errorf("tests %s, reference %s", got, r.Reference)
	}
}

func TestCompareContinuesAfterAFailure(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	status, stdout, stderr := iceload("compare", "--icebox", none, "--rounds", "1", "--duration", "10ms")
	if status != exitFailure || !strings.Contains(stderr, "start icebox") || !strings.Contains(stdout, "icebox  failed") {
		t.Errorf("status %d: %s\n%s", status, stderr, stdout)
	}
}
