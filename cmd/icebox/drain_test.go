package main

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startCommand starts an icebox command. status waits until it has ended.
func startCommand(t *testing.T, args ...string) (out *output, status func() int) {
	t.Helper()
	out = new(output)
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = slices.Clone(raceFree), out, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-done })
	return out, func() int {
		t.Helper()
		select {
		case <-done:
		case <-time.After(patience):
			t.Fatalf("icebox %s still runs: %s", args[0], out)
		}
		return cmd.ProcessState.ExitCode()
	}
}

// TestDrainCommand: icebox drain prints how many calls are left, and ends the daemon after the last one.
func TestDrainCommand(t *testing.T) {
	h := newHome(t, withUser("alice")+"shutdown: {drain: 1ms, alternate_servers: [\"203.0.113.9:3478\"]}\n")
	p := serve(t, h)
	addr := "127.0.0.1:" + p.turn("turn:127.0.0.1:H?transport=udp")
	_, release, err := allocate(t, udpClient(t), addr, "alice", "secret")
	if err != nil {
		t.Fatal(err)
	}
	out, status := startCommand(t, h.args("drain", "--within", "1h")...)
	p.awaitNotify("STOPPING=1")
	p.find(`draining the relay" sessions=1`)
	if got := icebox(t, nil, h.args("reload")...); got.status != 1 || got.stderr != "icebox: icebox is stopping\n" {
		t.Errorf("reload of a stopping daemon: status %d, %q", got.status, got.stderr)
	}
	_, second, err := allocate(t, udpClient(t), addr, "alice", "secret")
	second()
	if _, metrics := get(t, p.admin()+"/metrics"); err == nil || !strings.Contains(metrics, `icebox_turn_error_responses_total{code="300"} 1`) {
		t.Errorf("a new client got %v, want 300 Try Alternate", err)
	}
	release()
	if code := p.exit(); code != 0 {
		t.Errorf("the daemon's status is %d", code)
	}
	if code := status(); code != 0 || !strings.Contains(out.String(), "sessions left: 1\n") || !strings.HasSuffix(out.String(), "stopped\n") {
		t.Errorf("status %d, printed %s", code, out)
	}
}

// TestStopShortensADrain: systemctl stop does not wait for the deadline of an earlier icebox drain.
func TestStopShortensADrain(t *testing.T) {
	h := newHome(t, withUser("alice")+"shutdown: {drain: 50ms}\n")
	p := serve(t, h)
	_, release, err := allocate(t, udpClient(t), "127.0.0.1:"+p.turn("turn:127.0.0.1:H?transport=udp"), "alice", "secret")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	_, status := startCommand(t, h.args("drain", "--within", "1h")...)
	p.find(`draining the relay" sessions=1`)
	p.signal(syscall.SIGHUP) // does not count as a second signal
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != 0 {
		t.Errorf("the daemon's status is %d", code)
	}
	p.find(`ended calls that were still running" sessions=1`)
	if code := status(); code != 0 {
		t.Errorf("drain's status is %d", code)
	}
}
