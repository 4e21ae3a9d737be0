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

// installScript follows the instructions at the top of the unit file, with the shipped example as
// the configuration. The environment file has a shared secret for the client below, and a port that
// needs CAP_NET_BIND_SERVICE.
const installScript = `
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
	t.Parallel()
	binary, err := os.ReadFile(server.Binary(t))
	if err != nil {
		t.Fatal(err)
	}
	m := machine.Boot(t, map[string][]byte{
		"install.sh":     []byte(installScript),
		"icebox":         binary,
		"icebox.service": readFile(t, "deploy", "systemd", "icebox.service"),
		"icebox.yaml":    readFile(t, "deploy", "icebox.yaml"),
	})
	if out := m.Run("systemd-analyze", "verify", "icebox.service"); out != "" {
		t.Errorf("systemd-analyze verify: %s", out)
	}
	m.Run("systemctl", "daemon-reload")
	if out, err := m.Try("systemctl", "start", "icebox"); err != nil {
		t.Fatalf("start: %v: %s\n%s", err, out, m.Run("journalctl", "--no-pager", "-u", "icebox"))
	}
	waitUntilReady(t, m)
	pid := m.Run("systemctl", "show", "--property=MainPID", "--value", "icebox")
	t.Run("privileges", func(t *testing.T) { testPrivileges(t, m, pid) })
	t.Run("state directory", func(t *testing.T) { testStateDirectory(t, m) })
	t.Run("relays in its sandbox", func(t *testing.T) { testRelaying(t, m) })
	t.Run("reload", func(t *testing.T) { testReload(t, m) })
	t.Run("unreadable key", func(t *testing.T) { testUnreadableKey(t, m) })
	t.Run("watchdog", func(t *testing.T) { testWatchdog(t, m) })
	t.Run("restart and stop", func(t *testing.T) { testRestartAndStop(t, m) })
}

// waitUntilReady checks from inside the machine that the daemon is ready and serves pages.
func waitUntilReady(t *testing.T, m *machine.Machine) {
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
		body, _ := io.ReadAll(reply.Body) // only for the message
		reply.Body.Close()
		if reply.StatusCode != want {
			t.Errorf("%s: %s: %s", url, reply.Status, body)
		}
	}
}

// testPrivileges checks that the daemon runs as an ordinary user that may bind low ports and can
// gain no other privilege.
func testPrivileges(t *testing.T, m *machine.Machine, pid string) {
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

// testStateDirectory checks that only the daemon's user can read what the daemon generated.
func testStateDirectory(t *testing.T, m *machine.Machine) {
	if got := m.Run("stat", "--format=%U:%G %a", "/var/lib/icebox"); got != "icebox:icebox 700" {
		t.Errorf("/var/lib/icebox is %s", got)
	}
	files := m.Run("find", "/var/lib/icebox", "-type", "f", "-printf", "%f %u %m\n")
	if !strings.Contains(files, ".secret icebox 600") {
		t.Errorf("the state directory holds %q, want a secret that only icebox may read", files)
	}
	if others := m.Run("find", "/var/lib/icebox", "-type", "f", "-perm", "/077"); others != "" {
		t.Errorf("other users may read %s", others)
	}
}

// testRelaying relays packets of complete client sessions, which need every system call that a
// working daemon makes.
func testRelaying(t *testing.T, m *machine.Machine) {
	for _, transport := range [][]string{{}, {"-t"}} {
		args := append(transport, "-y", "-c", "-n", "10", "-u", "user", "-W", "a secret of this test", machine.Address)
		out := m.Run(append([]string{"turnutils_uclient"}, args...)...)
		if !strings.Contains(out, "Total lost packets 0 ") {
			t.Errorf("turnutils_uclient %s:\n%s", strings.Join(args, " "), out)
		}
	}
}

// testReload checks that `systemctl reload` waits for the outcome, and fails if the daemon refuses
// the new configuration.
func testReload(t *testing.T, m *machine.Machine) {
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
		t.Errorf("a reload with a change that needs a restart: %v: %s", err, journal)
	}
	if status := m.Run("systemctl", "show", "--property=StatusText,ActiveState,MainPID", "icebox"); !strings.Contains(status, "takes a restart") ||
		!strings.Contains(status, "ActiveState=active") || !strings.Contains(status, "MainPID="+pid) {
		t.Errorf("after a refused reload: %s", status)
	}
	if journal, err := try("s/realm: other/realm: icebox/"); err != nil {
		t.Errorf("a reload of the original file: %v: %s", err, journal)
	}
}

// testUnreadableKey checks that the daemon's user learns which directory is in the way of a key
// that certbot made readable for root only.
func testUnreadableKey(t *testing.T, m *machine.Machine) {
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
		t.Fatalf("icebox check found no problem: %s", out)
	}
	for _, want := range []string{
		"privkey.pem: permission denied: /etc/letsencrypt/live belongs to root:root and has mode 0700, and this process runs as icebox: ",
		"deploy hook",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("icebox check says %q, want %q", out, want)
		}
	}
}

// testWatchdog checks that systemd replaces a daemon that hangs.
func testWatchdog(t *testing.T, m *machine.Machine) {
	if got := m.Run("systemctl", "show", "--property=WatchdogUSec", "--value", "icebox"); got != "30s" {
		t.Errorf("the unit's watchdog timeout is %s, want 30s", got)
	}
	m.Run("sh", "-c", "mkdir -p /run/systemd/system/icebox.service.d; "+
		"printf '[Service]\nWatchdogSec=1s\nRestartSec=100ms\nTimeoutAbortSec=1s\n' >/run/systemd/system/icebox.service.d/test.conf")
	m.Run("systemctl", "daemon-reload")
	m.Run("systemctl", "restart", "icebox")
	waitUntilReady(t, m)
	pid := m.Run("systemctl", "show", "--property=MainPID", "--value", "icebox")
	m.Run("kill", "-STOP", pid)
	m.Run("timeout", "20", "sh", "-c", "until [ \"$(systemctl show --property=NRestarts --value icebox)\" = 1 ]; do sleep 0.1; done")
	m.Run("timeout", "20", "sh", "-c", "until systemctl is-active --quiet icebox; do sleep 0.1; done")
	waitUntilReady(t, m)
	if now := m.Run("systemctl", "show", "--property=MainPID", "--value", "icebox"); now == pid {
		t.Errorf("the process that hangs has not been replaced: %s", pid)
	}
	m.Run("rm", "-r", "/run/systemd/system/icebox.service.d")
	m.Run("systemctl", "daemon-reload")
}

// testRestartAndStop checks that a restart keeps the secrets, that a stop is clean, and that the
// unit's sandbox denied the daemon nothing.
func testRestartAndStop(t *testing.T, m *machine.Machine) {
	secrets := func() string { return m.Run("sh", "-c", "sha256sum /var/lib/icebox/*.secret") }
	before := secrets()
	m.Run("systemctl", "restart", "icebox")
	waitUntilReady(t, m)
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

// TestUnitExposure limits the exposure that systemd-analyze computes for the unit. The maximum,
// without any sandbox, is 10.0.
func TestUnitExposure(t *testing.T) {
	const threshold = 15 // in tenths, so 1.5
	path := filepath.Join(server.Root(), "deploy", "systemd", "icebox.service")
	out, err := exec.Command("systemd-analyze", "security", "--no-pager", "--offline=true", fmt.Sprintf("--threshold=%d", threshold), path).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze security: %v:\n%s", err, out)
	}
}
