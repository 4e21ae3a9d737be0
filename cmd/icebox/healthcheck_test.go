package main

import (
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"icebox/cmd/icebox/admin"
)

func TestHealthcheck(t *testing.T) {
	h := newHome(t, withUser("alice")+"shutdown: {drain: 1h}\n")
	if got := icebox(t, nil, h.args("healthcheck")...); got.status != 1 || !strings.Contains(got.stderr, "no daemon uses the state directory") {
		t.Errorf("before the start: status %d, %q", got.status, got.stderr)
	}
	p := serve(t, h)
	if got := icebox(t, nil, h.args("healthcheck")...); got.status != 0 || got.stdout != "ready\n" {
		t.Errorf("status %d, %q %q", got.status, got.stdout, got.stderr)
	}
	_, release, err := allocate(t, udpClient(t), "127.0.0.1:"+p.turn("turn:127.0.0.1:H?transport=udp"), "alice", "secret")
	if err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGTERM)
	p.awaitNotify("STOPPING=1")
	p.find(`draining the relay" sessions=1`)
	if got := icebox(t, nil, h.args("healthcheck")...); got.status != 0 || got.stdout != "draining, sessions left: 1\n" {
		t.Errorf("while it drains: status %d, %q %q", got.status, got.stdout, got.stderr)
	}
	release()
	p.exit()
	if got := icebox(t, nil, h.args("healthcheck")...); got.status != 1 || !strings.Contains(got.stderr, "not running") {
		t.Errorf("after the daemon ended: status %d, %q", got.status, got.stderr)
	}
}

// TestHealthcheckWithoutTheState: a user who may not read the state directory asks the configured address.
func TestHealthcheckWithoutTheState(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	h := newHome(t, strings.Replace(ephemeral, `admin: {address: "127.0.0.1:0"}`, fmt.Sprintf("admin: {address: %q}", address), 1))
	serve(t, h)
	other := home{h.config, filepath.Join(t.TempDir(), "none")}
	if got := icebox(t, nil, other.args("healthcheck")...); got.status != 0 {
		t.Errorf("status %d, %q", got.status, got.stderr)
	}
	if _, err := os.Stat(other.state); !os.IsNotExist(err) {
		t.Errorf("the command made %s", other.state)
	}
}

// TestHealthcheckOfAStuckRelay: icebox healthcheck fails for a stuck relay, also while the daemon drains.
func TestHealthcheckOfAStuckRelay(t *testing.T) {
	var status admin.Status
	server := httptest.NewServer(admin.Handler(admin.Options{Gatherer: prometheus.NewRegistry(), Status: func() admin.Status { return status }}))
	defer server.Close()
	p := &program{stdout: io.Discard}
	for name, draining := range map[string]*admin.Draining{"serving": nil, "draining": {Sessions: 1}} {
		status = admin.Status{Problem: "the reason", Draining: draining}
		err := p.healthcheck(t.Context(), admin.Access{Address: strings.TrimPrefix(server.URL, "http://")})
		if err == nil || !strings.Contains(err.Error(), "the reason") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
