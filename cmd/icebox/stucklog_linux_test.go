package main

import (
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"icebox/cmd/icebox/doctor"
	"icebox/config"
)

// smallPipe returns a pipe that is full after 4096 bytes.
func smallPipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(); _ = w.Close() })
	if _, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Fatal(err)
	}
	return r, w
}

// makeSessions creates and ends n sessions over each of UDP and TCP, each of which relays a packet. The daemon logs a line of
// about 300 bytes for each.
func (p *process) makeSessions(n int) {
	p.t.Helper()
	port := p.turn("turn:127.0.0.1:H?transport=udp")
	for _, transport := range []config.Transport{config.UDP, config.TCP} {
		target := doctor.Target{Transport: transport, Public: netip.MustParseAddrPort("127.0.0.1:" + port)}
		for i := range n {
			if _, err := doctor.RelayToSelf(p.t.Context(), target, doctor.Login{Username: "alice", Password: "secret"}); err != nil {
				p.t.Fatalf("session %d over %s: %v", i, transport, err)
			}
		}
	}
}

// awaitMetric waits until the metric name is not 0.
func (p *process) awaitMetric(name string) {
	p.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		_, text := get(p.t, p.admin()+"/metrics")
		for line := range strings.Lines(text) {
			if value, ok := strings.CutPrefix(line, name+" "); ok && strings.TrimSpace(value) != "0" {
				return
			}
		}
	}
	p.t.Fatalf("%s stays 0, or is missing", name)
}

// When the log is not read, the daemon relays, stays healthy, and ends on SIGTERM. The same holds for its stdout.
func TestNobodyReadsTheLog(t *testing.T) {
	for name, redirect := range map[string]func(cmd *exec.Cmd, w *os.File){
		"stderr": func(cmd *exec.Cmd, w *os.File) { cmd.Stderr = w },
		"stdout": func(cmd *exec.Cmd, w *os.File) { cmd.Stdout = w },
	} {
		t.Run(name, func(t *testing.T) {
			_, w := smallPipe(t)
			if name == "stdout" {
				if _, err := w.Write(make([]byte, 4096)); err != nil {
					t.Fatal(err)
				}
			}
			h := newHome(t, withUser("alice")+"shutdown: {drain: 1s}\n")
			p := serveWith(t, h, func(cmd *exec.Cmd) { redirect(cmd, w) })
			if name == "stderr" {
				p.makeSessions(20)
			}
			if got := icebox(t, nil, h.args("healthcheck")...); got.status != 0 {
				t.Errorf("healthcheck: %d, %s", got.status, got.stderr)
			}
			p.signal(syscall.SIGTERM)
			if code := p.exit(); code != 0 {
				t.Errorf("status %d", code)
			}
		})
	}
}

// When the reader of the log goes away, the daemon goes on, and counts the lines that it loses.
func TestTheReaderOfTheLogLeaves(t *testing.T) {
	r, w := smallPipe(t)
	p := serveWith(t, newHome(t, withUser("alice")), func(cmd *exec.Cmd) { cmd.Stderr = w })
	_ = r.Close()
	p.makeSessions(3)
	for _, name := range []string{"icebox_log_lines_dropped_total", "icebox_log_write_errors_total"} {
		p.awaitMetric(name)
	}
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != 0 {
		t.Errorf("status %d", code)
	}
}
