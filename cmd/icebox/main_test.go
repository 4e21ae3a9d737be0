package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"icebox/cmd/icebox/admin"
	"icebox/cmd/icebox/statedir"
)

func TestExitStatus(t *testing.T) {
	good, bad := newHome(t, ephemeral), newHome(t, "turn: {relm: a, max_session: 1}\n")
	missing := home{filepath.Join(t.TempDir(), "none.yaml"), good.state}
	for name, test := range map[string]struct {
		env    []string
		args   []string
		status int
		stderr string // all of it, without "icebox: "
		stdout string // a part of it
	}{
		"help":    {nil, nil, 0, "", "Usage:"},
		"version": {nil, []string{"version"}, 0, "", "icebox "},
		"check": {[]string{"ICEBOX_TURN_RELAY_ADDRESSES=127.0.0.1"}, good.args("check"), 0,
			"note: on this host the relay uses 127.0.0.1 (IPv4 only: a client that asks for IPv6 gets error 440)", "relay_ports: 49152-65535"},
		"check, for another host": {[]string{"ICEBOX_TURN_RELAY_ADDRESSES=198.51.100.9"}, good.args("check"), 0,
			"warning: on this host: turn.relay_addresses[0]: 198.51.100.9 is not an address of this host", "relay_addresses: [198.51.100.9]"},
		"unknown command":      {nil, []string{"serv"}, 2, "unknown command \"serv\" for \"icebox\"\n\nDid you mean this?\n\tserve\n", ""},
		"unknown flag":         {nil, []string{"serve", "--relm", "x"}, 2, "unknown flag: --relm", ""},
		"too many arguments":   {nil, []string{"check", "x"}, 2, `unknown command "x" for "icebox check"`, ""},
		"no name":              {nil, good.args("credential"), 2, "icebox credential needs one argument, the user's name, and got 0", ""},
		"bad variable":         {[]string{"ICEBOX_RELM=x"}, []string{"check"}, 2, "ICEBOX_RELM: unknown variable", ""},
		"bad flag value":       {nil, good.args("check", "--log-level", "loud"), 2, `--log-level: log.level: want debug, info, warn or error, got "loud"`, ""},
		"no such file":         {nil, missing.args("serve"), 2, fmt.Sprintf("%s: stat %[1]s: no such file or directory", missing.config), ""},
		"no such file, in env": {[]string{"ICEBOX_CONFIG=" + missing.config}, []string{"check"}, 2, fmt.Sprintf("%s: stat %[1]s: no such file or directory", missing.config), ""},
		"ttl":                  {nil, good.args("credential", "a", "--ttl", "200h"), 2, "--ttl: want 1s to 168h0m0s (credentials.max_future), got 200h0m0s", ""},
		"no secret yet":        {nil, good.args("credential", "a"), 1, "no secret to mint with in " + good.state + ": start the daemon once, or name its directory with --state-dir", ""},
		"bad configuration": {nil, bad.args("serve"), 2, bad.config + ":1: turn.max_session: want a duration with its unit such as 90s, 10m or 24h, got \"1\"\n" +
			bad.config + ":1: turn.relm: unknown key (did you mean realm?)", ""},
		"bad configuration, check": {nil, bad.args("check"), 2, bad.config + ":1: turn.max_session: want a duration with its unit such as 90s, 10m or 24h, got \"1\"\n" +
			bad.config + ":1: turn.relm: unknown key (did you mean realm?)", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := icebox(t, test.env, test.args...)
			stderr := strings.TrimSuffix(strings.ReplaceAll("\n"+got.stderr, "\nicebox: ", "\n"), "\n")
			if got.status != test.status || strings.TrimSpace(stderr) != strings.TrimSpace(test.stderr) || !strings.Contains(got.stdout, test.stdout) {
				t.Errorf("status %d, want %d\nstderr %q\nwant   %q\nstdout %q", got.status, test.status, stderr, test.stderr, got.stdout)
			}
		})
	}
	for _, h := range []home{good, bad} {
		if _, err := os.Stat(h.state); !os.IsNotExist(err) {
			t.Errorf("a command made %s, but should make nothing", h.state)
		}
	}
}

func TestPortInUse(t *testing.T) {
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = udp.Close() }()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tcp.Close() }()
	h := newHome(t, fmt.Sprintf("turn: {listen: [{address: %q, transports: [udp]}]}\nhttp: {listen: [{address: %q}]}\nadmin: {address: \"127.0.0.1:0\"}\n", udp.LocalAddr(), tcp.Addr()))
	got := icebox(t, nil, h.args("serve", "--log-level", "error")...)
	want := fmt.Sprintf("icebox: turn.listen[0]: udp %s is in use by another process\nicebox: http.listen[0]: tcp %s is in use by another process\n", udp.LocalAddr(), tcp.Addr())
	if got.status != 1 || got.stderr != want || got.stdout != "" {
		t.Errorf("status %d, stderr\n%swant\n%s", got.status, got.stderr, want)
	}
}

func TestServeAndStop(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(s.String(), func(t *testing.T) {
			h := newHome(t, ephemeral)
			p := serve(t, h)
			if status, body := get(t, p.admin()+"/healthz"); status != 200 || body != "ok\n" {
				t.Errorf("/healthz: %d %s", status, body)
			}
			var ready admin.Status
			if status, body := get(t, p.admin()+"/readyz"); status != 200 || json.Unmarshal([]byte(body), &ready) != nil || !ready.Ready {
				t.Errorf("/readyz: %d %s", status, body)
			}
			if _, body := get(t, p.admin()+"/metrics"); !strings.Contains(body, "icebox_build_info{") || !strings.Contains(body, "icebox_turn_") {
				t.Errorf("/metrics: %s", body)
			}
			if info, err := os.Stat(filepath.Join(h.state, statedir.MintingSecret)); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the secret: %v, %v", info, err)
			}
			p.signal(s)
			p.awaitNotify("STOPPING=1")
			if status := p.exit(); status != 0 {
				t.Errorf("status %d", status)
			}
			if !strings.Contains(p.out.String(), "msg=stopped") {
				t.Errorf("the log does not end with stopped:\n%s", p.out.String())
			}
		})
	}
}

// TestBanner: the banner has everything that a user needs to try the daemon.
func TestBanner(t *testing.T) {
	h := newHome(t, "public_host: turn.example.org\n"+ephemeral)
	p := serve(t, h)
	port := strings.TrimPrefix(p.turn("stun:turn.example.org:H"), ":")
	for _, want := range []string{
		`pages       http://127\.0\.0\.1:\d+/  http://127\.0\.0\.1:\d+/trickle-ice/\n`,
		`signalling  ws://127\.0\.0\.1:\d+/ws\n`,
		`STUN/TURN   stun:turn\.example\.org:` + port + `\n`,
		` turn:turn\.example\.org:` + port + `\?transport=udp\n`,
		` turn:turn\.example\.org:` + port + `\?transport=tcp\n`,
		`relays from (\S+, )*127\.0\.0\.1`,
		`credential  icebox credential alice --config ` + h.config + ` --state-dir ` + h.state + `\n`,
		`! STUN and TURN listen only on loopback addresses`,
	} {
		p.find(want)
	}
}

func TestOpenAccessWarning(t *testing.T) {
	h := newHome(t, strings.Replace(ephemeral, `http:
  listen: [{address: "127.0.0.1:0"}]`, `http:
  listen: [{address: "0.0.0.0:0"}]`, 1))
	p := serve(t, h)
	warning := "anyone who reaches http.listen[0] (0.0.0.0:0) may sign in and relay at your cost: set signal.access: key"
	p.find("! " + regexp.QuoteMeta(warning))
	p.find("level=WARN msg=\"" + regexp.QuoteMeta(warning))
	if _, body := get(t, p.admin()+"/readyz"); !strings.Contains(body, warning) {
		t.Errorf("no warning at /readyz: %s", body)
	}
	p.signal(syscall.SIGTERM)
	p.exit()
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	client := &http.Client{Timeout: patience}
	r, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(text)
}
