package main

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"icebox/signal"
	"icebox/signal/gateway"
	"icebox/signal/signaltest/stack"
)

// serveHub starts a signalling server in this process and returns its URL.
func serveHub(t *testing.T) string {
	t.Helper()
	l := signal.DefaultLimits()
	l.MessagesPerSecond, l.MessageBurst = 1e6, 1e6
	hub, err := signal.New(signal.Options{}, l)
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(gateway.Options{Hub: hub}, l)
	if err != nil {
		t.Fatal(err)
	}
	handler, err := stack.Listener(g, hub, gateway.Listener{Loopback: true})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(handler)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := hub.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		web.Close()
	})
	return strings.Replace(web.URL, "http", "ws", 1) + "/ws"
}

var shortRun = []string{
	"--clients", "6", "--candidate-rate", "500", "--offer-rate", "200", "--sign-in-rate", "100", "--counts", "5,20",
	"--duration", "200ms", "--warmup", "20ms", "--rest", "10ms",
}

func TestSignal(t *testing.T) {
	url := serveHub(t)
	for _, protocol := range []string{"classic", "native"} {
		args := append([]string{
			"signal", "--url", url, "--protocol", protocol, "--pid", fmt.Sprint(os.Getpid()), "--load", "candidate,offer,sign-in,idle",
		}, shortRun...)
		r := report[signalReport](t, args...)
		if len(r.Loads) != 3 || r.Idle == nil || len(r.Idle.Steps) != 2 || r.Idle.Steps[1].Connections != 20 {
			t.Fatalf("%s: %+v", protocol, r)
		}
		for _, l := range r.Loads {
			if l.Received == 0 || l.Received != l.Sent || l.Latency.P50 <= 0 || l.CPU <= 0 || l.Failures > 0 {
				t.Errorf("%s: %+v", protocol, l)
			}
		}
		status, stdout, _ := iceload(args...)
		for _, want := range []string{protocol + " protocol", "us CPU per message", "us CPU per sign-in", "bytes per connection"} {
			if status != exitOK || !strings.Contains(stdout, want) {
				t.Errorf("status %d, %q is missing from\n%s", status, want, stdout)
			}
		}
	}
}

func TestSignalCommandLineErrors(t *testing.T) {
	url := []string{"signal", "--url", "ws://127.0.0.1:9/ws"}
	for _, c := range []struct {
		want string
		args []string
	}{
		{"--url is missing", []string{"signal"}},
		{"must be like ws://", []string{"signal", "--url", "http://127.0.0.1/"}},
		{"is an attack", []string{"signal", "--url", "wss://198.51.100.7/ws"}},
		{"protocol is", append(url, "--protocol", "other")},
		{"--load \"fly\"", append(url, "--load", "fly")},
		{"--pid is missing", append(url, "--load", "idle")},
		{"--clients", append(url, "--clients", "1")},
		{"--duration", append(url, "--duration", "9h")},
		{"--counts", append(url, "--counts", "10")},
		{"--counts", append(url, "--counts", "10,200000")},
		{"window is 0", append(url, "--window", "0")},
		{"size is 3", append(url, "--candidate-size", "3")},
		{"no ws in", []string{"signal", "compare", "--node", "sh", "--modules", t.TempDir()}},
		{"are missing", []string{"signal", "compare", "--node", ""}},
		{"two contenders are called", []string{"signal", "compare", "--node", "", "--icebox", "a", "--icebox", "a"}},
		{"protocol is", []string{"signal", "compare", "--node", "", "--icebox", "a", "--protocols", "other"}},
		{"--rounds", []string{"signal", "compare", "--node", "", "--icebox", "a", "--rounds", "0"}},
		{"--load \"fly\"", []string{"signal", "compare", "--node", "", "--icebox", "a", "--load", "fly-tls"}},
	} {
		status, stdout, stderr := iceload(c.args...)
		if status != exitUsage || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: status %d, want %q in %s%s", c.args, status, c.want, stderr, stdout)
		}
	}
}

// Compares an icebox built from this tree with itself, in both protocols. The Node.js server needs
// a module that may not be installed; the end-to-end tests run it.
func TestSignalCompare(t *testing.T) {
	icebox := filepath.Join(t.TempDir(), "icebox")
	if out, err := exec.Command("go", "build", "-o", icebox, "icebox/cmd/icebox").CombinedOutput(); err != nil {
		t.Fatalf("build icebox: %v\n%s", err, out)
	}
	args := append([]string{
		"signal", "compare", "--icebox", icebox, "--node", "", "--rounds", "2", "--load", "candidate,offer-tls,sign-in,idle-tls",
	}, shortRun...)
	r := report[compareReport](t, args...)
	if len(r.Tests) != 4 || r.Reference != "icebox classic" {
		t.Fatalf("%+v", r)
	}
	for _, test := range r.Tests {
		for _, s := range test.Servers {
			if len(s.Runs) != 2 || s.Value.Median == 0 && test.Unit != "bytes/connection" || s.Loss.Median > 0 {
				t.Errorf("%s, %s: %+v", test.Name, s.Name, s)
			}
		}
	}
	if !strings.HasSuffix(r.Tests[3].Name, "20 connections, TLS") {
		t.Errorf("the last test is %s", r.Tests[3].Name)
	}
}
