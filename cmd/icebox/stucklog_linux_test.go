package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pion/turn/v3"
)

// pipe returns a pipe whose write end blocks when it is full, as with the stdout and stderr of daemons.
func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	_ = w.Fd() // makes the write end blocking
	return r, w
}

// fill writes to a pipe until it is full.
func fill(t *testing.T, w *os.File) {
	t.Helper()
	// The file is opened again, because O_NONBLOCK would also apply to the daemon's descriptor of w.
	fd, err := syscall.Open(fmt.Sprintf("/proc/self/fd/%d", w.Fd()), syscall.O_WRONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(fd) }()
	for block := bytes.Repeat([]byte(".\n"), 2048); len(block) > 0; {
		_, err := syscall.Write(fd, block)
		switch {
		case errors.Is(err, syscall.EAGAIN):
			block = block[:len(block)/2] // a smaller block may still fit
		case err != nil:
			t.Fatal(err)
		}
	}
}

// relayPair is two sessions, over UDP and over TCP, which send to each other's relayed addresses.
type relayPair struct {
	udp, tcp net.PacketConn
	release  func()
}

const hello = "hello"

func (p *process) newRelayPair() *relayPair {
	p.t.Helper()
	addr := "127.0.0.1:" + p.turn("turn:127.0.0.1:H?transport=udp") // TCP has the same port
	stream, err := net.Dial("tcp", addr)
	if err != nil {
		p.t.Fatal(err)
	}
	udp, releaseUDP, err := allocate(p.t, udpClient(p.t), addr, "alice", "secret")
	tcp, releaseTCP, err2 := allocate(p.t, turn.NewSTUNConn(stream), addr, "alice", "secret")
	if err := errors.Join(err, err2); err != nil {
		p.t.Fatal(err)
	}
	// This creates the permission of the TCP session. The packet arrives only if the UDP session has got one in time.
	if _, err := tcp.WriteTo([]byte(hello), udp.LocalAddr()); err != nil {
		p.t.Fatal(err)
	}
	return &relayPair{udp, tcp, func() { releaseUDP(); releaseTCP() }}
}

// exchange sends a packet in both directions.
func (p *process) exchange(r *relayPair, age string) {
	p.t.Helper()
	send := func(text string, from, to net.PacketConn) {
		p.t.Helper()
		if _, err := from.WriteTo([]byte(text), to.LocalAddr()); err != nil {
			p.t.Fatalf("%s sessions, %s: %v", age, text, err)
		}
		buf := make([]byte, 100)
		_ = to.SetReadDeadline(time.Now().Add(patience))
		for got := ""; got != text; {
			n, _, err := to.ReadFrom(buf)
			if got = string(buf[:n]); err != nil || got != text && got != hello {
				p.t.Fatalf("%s sessions, %s: got %q, %v", age, text, got, err)
			}
		}
	}
	send("from UDP to TCP", r.udp, r.tcp)
	send("from TCP to UDP", r.tcp, r.udp)
}

// relays checks that the sessions of old and new ones relay. It ends the new ones, so the daemon logs two lines.
func (p *process) relays(old *relayPair) {
	p.t.Helper()
	r := p.newRelayPair()
	p.exchange(r, "new")
	r.release()
	p.exchange(old, "old")
}

// awaitMetric waits until the metric name is not 0.
func (p *process) awaitMetric(name string) {
	p.t.Helper()
	positive := regexp.MustCompile(`(?m)^` + name + ` [1-9]`)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		if _, text := get(p.t, p.admin()+"/metrics"); positive.MatchString(text) {
			return
		}
	}
	p.t.Fatalf("%s stays 0, or is missing", name)
}

// wantHealthy checks that the daemon is ready, and that SIGTERM ends it.
func (p *process) wantHealthy(h home) {
	p.t.Helper()
	if got := icebox(p.t, nil, h.args("healthcheck")...); got.status != 0 || got.stdout != "ready\n" {
		p.t.Errorf("healthcheck: status %d, %s%s", got.status, got.stdout, got.stderr)
	}
	p.signal(syscall.SIGTERM)
	p.awaitNotify("STOPPING=1")
	if status := p.exit(); status != 0 {
		p.t.Errorf("status %d", status)
	}
}

// shortDrain is a configuration of a daemon that ends soon after SIGTERM, although it has sessions.
func shortDrain() string { return withUser("alice") + "shutdown: {drain: 100ms}\n" }

// TestLogIsNotRead: the pipe of the log is full, because nothing reads it. Sessions over UDP and TCP relay, lines beyond the size of
// the queue are dropped and counted, and SIGTERM ends the daemon. When the log is read again, it says how many lines are missing.
func TestLogIsNotRead(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			r, w := pipe(t)
			good := shortDrain() + "log: {format: " + format + "}\n"
			h := newHome(t, good)
			p := serveWith(t, h, func(c *exec.Cmd) { c.Stderr = w })
			old := p.newRelayPair()
			p.exchange(old, "old")
			fill(t, w)
			p.relays(old)
			bad := good // a refused reload logs a line for each mistake
			for i := range 2000 {
				bad += fmt.Sprintf("unknown_%d: 1\n", i)
			}
			if err := os.WriteFile(h.config, []byte(bad), 0o600); err != nil {
				t.Fatal(err)
			}
			for range 5 {
				p.signal(syscall.SIGHUP)
				p.awaitNotify("RELOADING=1")
				if got := p.nextNotification(); !strings.HasPrefix(got, "READY=1\nSTATUS=the last reload was refused") {
					t.Fatalf("the service manager received %.99q", got)
				}
			}
			p.awaitMetric("icebox_log_lines_dropped_total")
			p.relays(old)

			done := make(chan struct{})
			_ = w.Close()
			go func() { defer close(done); _, _ = io.Copy(&p.out, r) }()
			p.find("log lines are missing here")
			p.wantHealthy(h)
			<-done
			p.find("stopped")
		})
	}
}

// TestStopWhileLogIsNotRead: SIGTERM ends the daemon although nothing reads the log.
func TestStopWhileLogIsNotRead(t *testing.T) {
	_, w := pipe(t)
	h := newHome(t, shortDrain())
	p := serveWith(t, h, func(c *exec.Cmd) { c.Stderr = w })
	old := p.newRelayPair()
	fill(t, w)
	p.relays(old)
	p.wantHealthy(h)
}

// TestLogReaderExits: when the reader of the log exits, the daemon keeps running and counts the lines that it loses.
func TestLogReaderExits(t *testing.T) {
	r, w := pipe(t)
	h := newHome(t, shortDrain())
	p := serveWith(t, h, func(c *exec.Cmd) { c.Stderr = w })
	_ = r.Close()
	old := p.newRelayPair()
	for range 2 {
		p.relays(old)
		p.awaitMetric("icebox_log_write_errors_total")
	}
	p.wantHealthy(h)
}

// TestStdoutIsNotRead: the daemon starts although nothing reads its stdout.
func TestStdoutIsNotRead(t *testing.T) {
	for name, prepare := range map[string]func(*testing.T, *os.File, *os.File){
		"full":      func(t *testing.T, _, w *os.File) { fill(t, w) },
		"no reader": func(_ *testing.T, r, _ *os.File) { _ = r.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			r, w := pipe(t)
			prepare(t, r, w)
			h := newHome(t, ephemeral)
			serveWith(t, h, func(c *exec.Cmd) { c.Stdout = w }).wantHealthy(h)
		})
	}
}
