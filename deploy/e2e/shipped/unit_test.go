package shipped

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"icebox/deploy/e2e/machine"
	"icebox/deploy/e2e/server"
)

// install does what the head of the unit tells an administrator to do, with the shipped example as the configuration. In
// the environment file are a shared secret, for the client below, and a port that takes the capability.
const install = `
install -m 755 /mnt/install/icebox /usr/local/bin/icebox
install -m 644 /mnt/install/icebox.service /etc/systemd/system/icebox.service
useradd --system --home-dir /var/lib/icebox --shell /usr/sbin/nologin icebox
install -d /etc/icebox
install -m 640 -g icebox /mnt/install/icebox.yaml /etc/icebox/icebox.yaml
cat >/etc/default/icebox <<'END'
ICEBOX_CREDENTIALS_SECRETS='[{secret: a secret of this test}]'
ICEBOX_SHUTDOWN_DRAIN=100ms
ICEBOX_HTTP_LISTEN='[{address: "127.0.0.1:80"}]'
END
`

func TestUnit(t *testing.T) {
	binary, err := os.ReadFile(server.Binary(t))
	if err != nil {
		t.Fatal(err)
	}
	m := machine.Boot(t, map[string][]byte{
		"install.sh":     []byte(install),
		"icebox":         binary,
		"icebox.service": ship(t, "deploy", "systemd", "icebox.service"),
		"icebox.yaml":    ship(t, "deploy", "icebox.yaml"),
	})
	if out := m.Run("systemd-analyze", "verify", "icebox.service"); out != "" {
		t.Errorf("systemd-analyze verify: %s", out)
	}
	m.Run("systemctl", "daemon-reload")
	if out, err := m.Try("systemctl", "start", "icebox"); err != nil {
		t.Fatalf("start: %v: %s\n%s", err, out, m.Run("journalctl", "--no-pager", "-u", "icebox"))
	}
	ready(t, m)
	pid := m.Run("systemctl", "show", "--property=MainPID", "--value", "icebox")
	t.Run("privileges", func(t *testing.T) { privileges(t, m, pid) })
	t.Run("state directory", func(t *testing.T) { state(t, m) })
	t.Run("relays in its sandbox", func(t *testing.T) { relays(t, m) })
	t.Run("reload", func(t *testing.T) { reloads(t, m) })
	t.Run("unreadable key", func(t *testing.T) { unreadable(t, m) })
	t.Run("watchdog", func(t *testing.T) { watchdog(t, m) })
	t.Run("restart and stop", func(t *testing.T) { life(t, m) })
}

// ready asks the daemon itself, from inside the machine.
func ready(t *testing.T, m *machine.Machine) {
	t.Helper()
	web := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DialContext: m.Dial, DisableKeepAlives: true}}
	for url, want := range map[string]int{"http://127.0.0.1:9641/readyz": http.StatusOK, "http://127.0.0.1/": http.StatusOK} {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		reply, err := web.Do(r)
		if err != nil {
			t.Fatalf("%s: %v", url, err)
		}
		body, _ := io.ReadAll(reply.Body) // for the message alone
		reply.Body.Close()
		if reply.StatusCode != want {
			t.Errorf("%s: %s: %s", url, reply.Status, body)
		}
	}
}

// privileges: the daemon is an ordinary user who may bind low ports and gain nothing.
func privileges(t *testing.T, m *machine.Machine, pid string) {
	status := m.Run("cat", "/proc/"+pid+"/status")
	uid, gid := m.Run("id", "-u", "icebox"), m.Run("id", "-g", "icebox")
	const bindService = "0000000000000400" // 1 << CAP_NET_BIND_SERVICE
	for field, want := range map[string]string{
		"Uid": strings.Join([]string{uid, uid, uid, uid}, "\t"), "Gid": strings.Join([]string{gid, gid, gid, gid}, "\t"),
		"CapEff": bindService, "CapBnd": bindService, "NoNewPrivs": "1", "Seccomp": "2",
	} {
		got := regexp.MustCompile(`(?m)^` + field + `:\t(.*)$`).FindStringSubmatch(status)
		if got == nil || got[1] != want {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}
}

// state: what was generated is the daemon's alone.
func state(t *testing.T, m *machine.Machine) {
	if got := m.Run("stat", "--format=%U:%G %a", "/var/lib/icebox"); got != "icebox:icebox 700" {
		t.Errorf("/var/lib/icebox is %s", got)
	}
	files := m.Run("find", "/var/lib/icebox", "-type", "f", "-printf", "%f %u %m\n")
	if !strings.Contains(files, ".secret icebox 600") {
		t.Errorf("the state directory holds %q, want a secret for icebox alone", files)
	}
	if others := m.Run("find", "/var/lib/icebox", "-type", "f", "-perm", "/077"); others != "" {
		t.Errorf("others may read %s", others)
	}
}

// relays: whole relayed conversations, which need every system call the daemon makes when it works.
func relays(t *testing.T, m *machine.Machine) {
	for _, transport := range [][]string{{}, {"-t"}} {
		args := append(transport, "-y", "-c", "-n", "10", "-u", "user", "-W", "a secret of this test", machine.Address)
		out := m.Run(append([]string{"turnutils_uclient"}, args...)...)
		if !strings.Contains(out, "Total lost packets 0 ") {
			t.Errorf("turnutils_uclient %s:\n%s", strings.Join(args, " "), out)
		}
	}
}

// reloads: systemctl reload waits for the outcome, which may be that nothing has changed.
func reloads(t *testing.T, m *machine.Machine) {
	const file = "/etc/icebox/icebox.yaml"
	pid := m.Run("systemctl", "show", "--property=MainPID", "--value", "icebox")
	try := func(expression string) (journal string, err error) {
		cursor := m.Run("journalctl", "--no-pager", "--lines=0", "--show-cursor")
		m.Run("sed", "-i", expression, file)
		_, err = m.Try("systemctl", "reload", "icebox")
		_, cursor, _ = strings.Cut(cursor, "-- cursor: ")
		return m.Run("journalctl", "--no-pager", "--output=cat", "--unit=icebox", "--after-cursor="+cursor), err
	}
	if journal, err := try("s/^turn:/turn:\\n  users: [{name: later, password: on}]/"); err != nil || !strings.Contains(journal, "reloaded; changed: turn.users") {
		t.Errorf("%v: %s", err, journal)
	}
	m.Run("turnutils_uclient", "-y", "-c", "-n", "2", "-u", "later", "-w", "on", machine.Address)
	journal, err := try("s/realm: icebox/realm: other/")
	if err == nil || !strings.Contains(journal, "turn.realm: has changed, and takes a restart") {
		t.Errorf("a reload that needs a restart: %v: %s", err, journal)
	}
	if status := m.Run("systemctl", "show", "--property=StatusText,ActiveState,MainPID", "icebox"); !strings.Contains(status, "takes a restart") ||
		!strings.Contains(status, "ActiveState=active") || !strings.Contains(status, "MainPID="+pid) {
		t.Errorf("after a refused reload: %s", status)
	}
	if journal, err := try("s/realm: other/realm: icebox/"); err != nil {
		t.Errorf("the file as it was: %v: %s", err, journal)
	}
}

// unreadable: with a key that certbot keeps to root, the daemon's user is told what is in the way.
func unreadable(t *testing.T, m *machine.Machine) {
	m.Run("sh", "-euc", `
		umask 077
		mkdir -p /etc/letsencrypt/live/a.example /etc/letsencrypt/archive/a.example
		for f in fullchain privkey; do
			echo >/etc/letsencrypt/archive/a.example/${f}1.pem
			ln -s ../../archive/a.example/${f}1.pem /etc/letsencrypt/live/a.example/$f.pem
		done
		chmod 755 /etc/letsencrypt`)
	out, err := m.Try("runuser", "-u", "icebox", "--", "env",
		"ICEBOX_TLS={certificate: /etc/letsencrypt/live/a.example/fullchain.pem, key: /etc/letsencrypt/live/a.example/privkey.pem}",
		"icebox", "check", "--state-dir", "/tmp")
	if err == nil {
		t.Fatalf("icebox check is content: %s", out)
	}
	for _, want := range []string{
		"privkey.pem: permission denied: /etc/letsencrypt/live is root:root with mode 0700, and this is the user icebox: ",
		"deploy hook",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("icebox check says %q, want %q", out, want)
		}
	}
}

// watchdog: a daemon that hangs is replaced.
func watchdog(t *testing.T, m *machine.Machine) {
	if got := m.Run("systemctl", "show", "--property=WatchdogUSec", "--value", "icebox"); got != "30s" {
		t.Errorf("the unit's watchdog waits %s", got)
	}
	m.Run("sh", "-c", "mkdir -p /run/systemd/system/icebox.service.d; "+
		"printf '[Service]\nWatchdogSec=1s\nRestartSec=100ms\nTimeoutAbortSec=1s\n' >/run/systemd/system/icebox.service.d/test.conf")
	m.Run("systemctl", "daemon-reload")
	m.Run("systemctl", "restart", "icebox")
	ready(t, m)
	pid := m.Run("systemctl", "show", "--property=MainPID", "--value", "icebox")
	m.Run("kill", "-STOP", pid)
	m.Run("timeout", "20", "sh", "-c", "until [ \"$(systemctl show --property=NRestarts --value icebox)\" = 1 ]; do sleep 0.1; done")
	m.Run("timeout", "20", "sh", "-c", "until systemctl is-active --quiet icebox; do sleep 0.1; done")
	ready(t, m)
	if now := m.Run("systemctl", "show", "--property=MainPID", "--value", "icebox"); now == pid {
		t.Errorf("the process that hangs is still there: %s", pid)
	}
	m.Run("rm", "-r", "/run/systemd/system/icebox.service.d")
	m.Run("systemctl", "daemon-reload")
}

// life: a restart keeps the secrets, a stop is clean, and the sandbox kept the daemon from nothing it wanted.
func life(t *testing.T, m *machine.Machine) {
	secrets := func() string { return m.Run("sh", "-c", "sha256sum /var/lib/icebox/*.secret") }
	before := secrets()
	m.Run("systemctl", "restart", "icebox")
	ready(t, m)
	if after := secrets(); after != before {
		t.Errorf("the generated secrets changed with a restart")
	}
	m.Run("systemctl", "stop", "icebox")
	want := "Result=success\nExecMainStatus=0"
	if got := m.Run("systemctl", "show", "--property=Result,ExecMainStatus", "icebox"); got != want {
		t.Errorf("after a stop: %s, want %s", got, want)
	}
	log := m.Run("journalctl", "--no-pager", "--output=cat", "--unit=icebox")
	for _, bad := range []string{"not permitted", "denied", "panic"} {
		if strings.Contains(log, bad) {
			t.Errorf("the journal says %q:\n%s", bad, log)
		}
	}
}

// TestUnitExposure holds the unit to systemd's own measure; 10.0 is no sandbox at all.
func TestUnitExposure(t *testing.T) {
	const threshold = 15 // tenths
	path := filepath.Join(server.Root(), "deploy", "systemd", "icebox.service")
	out, err := exec.Command("systemd-analyze", "security", "--no-pager", "--offline=true", fmt.Sprintf("--threshold=%d", threshold), path).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze security: %v:\n%s", err, out)
	}
}
