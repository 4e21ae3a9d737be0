package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// call is a call between two relayed clients, which send packets all the time.
type call struct {
	t      *testing.T
	stop   chan struct{}
	ended  chan struct{}
	lost   string
	rounds int
}

// ring starts a call between two clients over UDP.
func ring(t *testing.T, addr string) *call {
	t.Helper()
	return ringOver(t, addr, func() net.PacketConn { return udpClient(t) })
}

// ringOver starts a call between two clients over connections that dial makes. Both clients are the user alice.
func ringOver(t *testing.T, addr string, dial func() net.PacketConn) *call {
	t.Helper()
	var relays [2]net.PacketConn
	for i := range relays {
		relay, release, err := allocate(t, dial(), addr, "alice", "secret")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(release)
		relays[i] = relay
	}
	for i, from := range relays {
		if _, err := from.WriteTo([]byte(opening), relays[1-i].LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	c := &call{t: t, stop: make(chan struct{}), ended: make(chan struct{})}
	first := make(chan struct{}, 1)
	go func() {
		defer close(c.ended)
		for {
			if c.lost = sendRound(relays, c.rounds); c.lost != "" {
				return
			}
			c.rounds++
			select {
			case first <- struct{}{}:
			default:
			}
			select {
			case <-c.stop:
				return
			default:
			}
		}
	}()
	select {
	case <-first:
	case <-c.ended:
		t.Fatal(c.lost)
	}
	return c
}

// opening is sent before both sides have permissions, so it may be lost.
const opening = "open"

// sendRound sends one packet in each direction, and returns which one was lost, if any.
func sendRound(relays [2]net.PacketConn, n int) (lost string) {
	for i, from := range relays {
		to := relays[1-i]
		text, buf := fmt.Sprintf("packet %d", n), make([]byte, 64)
		if _, err := from.WriteTo([]byte(text), to.LocalAddr()); err != nil {
			return fmt.Sprintf("%s: %v", text, err)
		}
		_ = to.SetReadDeadline(time.Now().Add(patience))
		got, _, err := to.ReadFrom(buf)
		for err == nil && string(buf[:got]) == opening {
			got, _, err = to.ReadFrom(buf)
		}
		if err != nil || string(buf[:got]) != text {
			return fmt.Sprintf("%s: got %q, %v", text, buf[:got], err)
		}
	}
	return ""
}

// hangUp ends the call. It fails the test if the call has lost a packet.
func (c *call) hangUp() {
	c.t.Helper()
	close(c.stop)
	<-c.ended
	if c.lost != "" {
		c.t.Errorf("after %d rounds: %s", c.rounds, c.lost)
	}
	c.t.Logf("%d rounds", c.rounds)
}

func (h home) write(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(h.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// withUser returns the ephemeral configuration with a TURN user.
func withUser(name string) string {
	return strings.Replace(ephemeral, "turn:\n", "turn:\n  users: [{name: "+name+", password: secret}]\n", 1)
}

func admitted(t *testing.T, addr, username, password string) bool {
	t.Helper()
	_, release, err := allocate(t, udpClient(t), addr, username, password)
	release()
	return err == nil
}

func TestReload(t *testing.T) {
	h := newHome(t, withUser("alice"))
	p := serve(t, h)
	addr := "127.0.0.1:" + p.turn("turn:127.0.0.1:H?transport=udp")
	call := ring(t, addr)
	if admitted(t, addr, "bob", "secret") {
		t.Error("bob made an allocation")
	}

	h.write(t, withUser("bob")+"shutdown: {drain: 10ms}\nlog: {level: warn}\nsignal: {access: key, keys: [{name: web, key: 0123456789abcdef}]}\n")
	got := icebox(t, nil, h.args("reload")...)
	if want := "reloaded; changed: log.level, turn.users, signal.access, signal.keys, shutdown.drain\n"; got.status != 0 || got.stdout != want || got.stderr != "" {
		t.Errorf("status %d, printed %q and %q, want %q", got.status, got.stdout, got.stderr, want)
	}
	if !admitted(t, addr, "bob", "secret") || admitted(t, addr, "alice", "secret") {
		t.Error("the users differ from those in the file")
	}
	if _, r, err := connect(t, p.find(`(ws://\S+/ws)`), nil); err == nil || r == nil || r.StatusCode != 401 {
		t.Errorf("signed in without the key: %v", err)
	}
	p.awaitNotify("RELOADING=1")
	p.awaitNotify("READY=1\nSTATUS=reloaded")

	p.signal(syscall.SIGHUP)
	p.awaitNotify("RELOADING=1")
	p.awaitNotify("READY=1\nSTATUS=reloaded")
	if _, body := get(t, p.admin()+"/metrics"); !strings.Contains(body, `icebox_config_reloads_total{outcome="applied"} 2`) {
		t.Error("the metric does not count two reloads")
	}
	if got := icebox(t, nil, h.args("reload")...); got.stdout != "reloaded; no setting has changed\n" {
		t.Errorf("printed %q", got.stdout)
	}
	call.hangUp()
	if strings.Contains(p.out.String(), "shutting down") {
		t.Error("the daemon shut down")
	}
	p.signal(syscall.SIGTERM)
	p.exit()
	if strings.Contains(p.out.String(), "msg=stopped") {
		t.Error("it logs at level info although the level is warn now")
	}
}

// TestRefusedReload: a file with mistakes, or with changes that take a restart, changes nothing, and every reason is reported.
func TestRefusedReload(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want string // with FILE for the file
	}{
		"mistakes": {
			withUser("bob") + "credentials: {ttl: 1}\nsignal: {acces: key}\n",
			"FILE:8: credentials.ttl: want a duration with its unit such as 90s, 10m or 24h, got \"1\"\n" +
				"FILE:9: signal.acces: unknown key (did you mean access?)\n",
		},
		"keys that take a restart": {
			strings.Replace(withUser("bob"), "turn:\n", "turn:\n  realm: other\n", 1) + "public_host: turn.example.org\n",
			"FILE:3: turn.realm: has changed, and takes a restart\nFILE:9: public_host: has changed, and takes a restart\n",
		},
		"a certificate where there was none": {
			withUser("bob") + "tls: self-signed\n",
			"FILE:8: tls: has changed, and takes a restart\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t, withUser("alice"))
			p := serve(t, h)
			addr := "127.0.0.1:" + p.turn("turn:127.0.0.1:H?transport=udp")
			h.write(t, test.text)
			got := icebox(t, nil, h.args("reload")...)
			want := strings.ReplaceAll(test.want, "FILE", h.config) + "nothing has changed\n"
			if stderr := strings.ReplaceAll(got.stderr, "icebox: ", ""); got.status != exitUsage || stderr != want || got.stdout != "" {
				t.Errorf("status %d, printed\n%swant\n%s", got.status, stderr, want)
			}
			if !admitted(t, addr, "alice", "secret") || admitted(t, addr, "bob", "secret") {
				t.Error("the users have changed")
			}
			first, _, _ := strings.Cut(strings.ReplaceAll(test.want, "FILE", h.config), "\n")
			p.awaitNotify("RELOADING=1")
			p.awaitNotify("READY=1\nSTATUS=the last reload was refused: " + first)
			_, ready := get(t, p.admin()+"/readyz")
			_, metrics := get(t, p.admin()+"/metrics")
			if !strings.Contains(ready, "the last reload was refused") || !strings.Contains(metrics, `icebox_config_reloads_total{outcome="refused"} 1`) {
				t.Errorf("the refusal is not reported: %s", ready)
			}
			h.write(t, withUser("alice"))
			if got := icebox(t, nil, h.args("reload")...); got.status != 0 {
				t.Errorf("the old file: %s", got.stderr)
			}
			if _, ready := get(t, p.admin()+"/readyz"); strings.Contains(ready, "refused") {
				t.Errorf("the refusal is still reported after a good reload: %s", ready)
			}
		})
	}
}

func TestReloadAndDrainWithoutDaemon(t *testing.T) {
	good, bad := newHome(t, ephemeral), newHome(t, "turn: {relm: a}\n")
	if err := os.Mkdir(good.state, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"reload", "drain"} {
		got := icebox(t, nil, good.args(command)...)
		if want := "icebox: no daemon uses the state directory " + good.state + ": name the right one with --state-dir\n"; got.status != 1 || got.stderr != want {
			t.Errorf("%s: status %d, %q, want %q", command, got.status, got.stderr, want)
		}
		got = icebox(t, nil, bad.args(command)...)
		if got.status != 2 || !strings.Contains(got.stderr, "turn.relm") {
			t.Errorf("%s with a bad file: status %d, %q", command, got.status, got.stderr)
		}
	}
	p := serve(t, good)
	p.signal(syscall.SIGTERM)
	p.exit()
	if got := icebox(t, nil, good.args("reload")...); got.status != 1 || !strings.Contains(got.stderr, "icebox is not running") && !strings.Contains(got.stderr, "no daemon uses") {
		t.Errorf("after it stopped: status %d, %q", got.status, got.stderr)
	}
}
