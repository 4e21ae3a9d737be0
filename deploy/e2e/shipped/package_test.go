package shipped

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"icebox/deploy/e2e/abuse/turn"
	"icebox/deploy/e2e/machine"
	"icebox/deploy/e2e/pki"
	"icebox/deploy/e2e/server"
)

// turnHost is the host name in the tests' certificates.
const turnHost = "turn.example.org"

// repackScript builds a package with another version from an existing one, with an additional line
// in its configuration file.
const repackScript = `
set -eu
dpkg-deb -R "$1" "$3"
sed -i "s/^Version: .*/Version: 9:$2/" "$3/DEBIAN/control"
echo "# version $2" >>"$3/etc/icebox/icebox.yaml"
dpkg-deb --root-owner-group -Znone --build "$3" "$4"
`

// TestPackage installs the Debian package on a machine with systemd, uses, upgrades, removes and
// purges it.
func TestPackage(t *testing.T) {
	t.Parallel()
	testPackage(t, machine.Boot(t, packages(t)))
}

// packages returns the package under test, a later version of it, and an install.sh that installs
// neither.
func packages(t *testing.T) map[string][]byte {
	t.Helper()
	later := filepath.Join(t.TempDir(), "later.deb")
	if out, err := exec.Command("sh", "-c", repackScript, "repack", server.Package(t), "2", filepath.Join(t.TempDir(), "tree"), later).CombinedOutput(); err != nil {
		t.Fatalf("repack: %v: %s", err, out)
	}
	files := map[string][]byte{"install.sh": []byte("rm -f /usr/sbin/policy-rc.d\n")}
	for name, path := range map[string]string{"icebox.deb": server.Package(t), "later.deb": later} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = text
	}
	return files
}

func testPackage(t *testing.T, m *machine.Machine) {
	t.Run("install", func(t *testing.T) { testInstall(t, m) })
	t.Run("installed files", func(t *testing.T) { testFiles(t, m) })
	t.Run("certbot hook", func(t *testing.T) { testCertbot(t, m) })
	t.Run("doctor", func(t *testing.T) { testDoctor(t, m) })
	t.Run("upgrade", func(t *testing.T) { testUpgrade(t, m) })
	t.Run("remove and reinstall", func(t *testing.T) { testRemove(t, m) })
	t.Run("purge", func(t *testing.T) { testPurge(t, m) })
}

// testInstall measures how long a person waits from the install command to the first relay
// candidate.
func testInstall(t *testing.T, m *machine.Machine) {
	began := time.Now()
	m.Run("apt-get", "install", "-y", "-q", "/mnt/install/icebox.deb")
	installed := time.Since(began)
	relayed := firstCandidate(t, m)
	t.Logf("apt install took %s; the first relay candidate, %s, came after %s", installed.Round(time.Millisecond), relayed, time.Since(began).Round(time.Millisecond))
	if got := m.Run("systemctl", "is-enabled", "icebox"); got != "enabled" {
		t.Errorf("the unit is %s, want enabled", got)
	}
}

// firstCandidate returns the relayed address of a client with a credential that was made on the
// machine.
func firstCandidate(t *testing.T, m *machine.Machine) netip.AddrPort {
	t.Helper()
	var servers struct {
		ICEServers []struct{ Username, Credential string }
	}
	text := m.Run("icebox", "credential", "alice", "--json")
	if err := json.Unmarshal([]byte(text), &servers); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	var login turn.Login
	for _, s := range servers.ICEServers {
		if s.Username != "" {
			login = turn.Login{User: s.Username, Password: s.Credential}
		}
	}
	c, err := m.Dial(context.Background(), "udp", net.JoinHostPort(machine.Address, "3478"))
	if err != nil {
		t.Fatal(err)
	}
	client := turn.New(c, login)
	defer client.Close()
	if err := client.SignIn(); err != nil {
		t.Fatal(err)
	}
	relayed, err := client.Allocate()
	if err != nil {
		t.Fatalf("allocate: %v", err)
	}
	if err := client.Release(); err != nil { // otherwise the next restart waits for the allocation
		t.Error(err)
	}
	return relayed
}

func testFiles(t *testing.T, m *machine.Machine) {
	for path, want := range map[string]string{
		"/etc/icebox": "root:icebox 750", "/etc/icebox/tls": "root:icebox 750", "/etc/icebox/icebox.yaml": "root:icebox 640",
		"/var/lib/icebox": "icebox:icebox 700", "/usr/bin/icebox": "root:root 755",
		"/etc/letsencrypt/renewal-hooks/deploy/icebox": "root:root 755",
	} {
		if got := m.Run("stat", "--format=%U:%G %a", path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	if got := m.Run("getent", "passwd", "icebox"); !strings.HasSuffix(got, ":/var/lib/icebox:/usr/sbin/nologin") {
		t.Errorf("the user is %q", got)
	}
	m.Run("runuser", "-u", "icebox", "--", "icebox", "check") // the user icebox must be able to read the configuration
	m.Run("icebox", "healthcheck")
	m.Run("bash", "-c", "source /usr/share/bash-completion/completions/icebox && complete -p icebox")
	if page := m.Run("sh", "-c", "zcat /usr/share/man/man8/icebox-serve.8.gz"); !strings.Contains(page, "icebox-serve - Run the daemon") {
		t.Errorf("the manual says %q", page)
	}
	m.Run("sh", "-c", "cd / && md5sum --quiet -c /var/lib/dpkg/info/icebox.md5sums")
}

// testCertbot creates a directory tree as certbot does, enables TLS, and renews the certificate.
// The daemon must serve the new certificate without a restart.
func testCertbot(t *testing.T, m *machine.Machine) {
	const lineage = "/etc/letsencrypt/live/" + turnHost
	renew := func(n string) *pkiFiles {
		files := pki.Make(t, turnHost)
		copyFile(t, m, files.Cert, "/etc/letsencrypt/archive/"+turnHost+"/fullchain"+n+".pem", "644")
		copyFile(t, m, files.Key, "/etc/letsencrypt/archive/"+turnHost+"/privkey"+n+".pem", "600")
		for _, name := range []string{"fullchain", "privkey"} {
			m.Run("ln", "-sfn", "../../archive/"+turnHost+"/"+name+n+".pem", lineage+"/"+name+".pem")
		}
		m.Run("env", "RENEWED_LINEAGE="+lineage, "RENEWED_DOMAINS=www.example.org "+turnHost, "/etc/letsencrypt/renewal-hooks/deploy/icebox")
		return &pkiFiles{files}
	}
	m.Run("install", "-d", "-m", "700", "/etc/letsencrypt/live", "/etc/letsencrypt/archive")
	m.Run("install", "-d", lineage, "/etc/letsencrypt/archive/"+turnHost)
	m.Run("sed", "-i", "s/^#public_host: .*/public_host: "+turnHost+"/; s|^tls: off|tls: {certificate: /etc/icebox/tls/fullchain.pem, key: /etc/icebox/tls/privkey.pem}|", "/etc/icebox/icebox.yaml")
	first := renew("1")
	for _, name := range []string{"fullchain.pem", "privkey.pem"} {
		if got := m.Run("stat", "--format=%U:%G %a", "/etc/icebox/tls/"+name); got != "root:icebox 640" {
			t.Errorf("%s is %s", name, got)
		}
	}
	m.Run("systemctl", "restart", "icebox")
	first.waitUntilServed(t, m)
	pid := m.Run("systemctl", "show", "--property=MainPID", "--value", "icebox")
	renew("2").waitUntilServed(t, m)
	if now := m.Run("systemctl", "show", "--property=MainPID", "--value", "icebox"); now != pid {
		t.Error("the daemon was restarted")
	}
	before := m.Run("sha256sum", "/etc/icebox/tls/fullchain.pem")
	m.Run("env", "RENEWED_LINEAGE="+lineage, "RENEWED_DOMAINS=www.example.org", "/etc/letsencrypt/renewal-hooks/deploy/icebox")
	if after := m.Run("sha256sum", "/etc/icebox/tls/fullchain.pem"); after != before {
		t.Error("the hook installed a certificate for another name")
	}
}

// pkiFiles is a certificate that a daemon should serve.
type pkiFiles struct{ pki.Files }

// copyFile copies a file to the machine.
func copyFile(t *testing.T, m *machine.Machine, from, to, mode string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	m.Run("sh", "-c", `umask 077; printf %s "$1" >"$2"; chmod "$3" "$2"`, "sh", string(text), to, mode)
}

// waitUntilServed waits until TURN over TLS presents the certificate. The daemon checks its file
// every few seconds.
func (f *pkiFiles) waitUntilServed(t *testing.T, m *machine.Machine) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := m.Dial(context.Background(), "tcp", net.JoinHostPort(machine.Address, "5349"))
		if err == nil {
			secure := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
			err = secure.Handshake()
			now := secure.ConnectionState().PeerCertificates
			secure.Close()
			if err == nil && len(now) > 0 && string(now[0].Raw) == string(pair.Certificate[0]) {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("the certificate is not served: %v\n%s", err, m.Run("journalctl", "--no-pager", "--output=cat", "--unit=icebox", "--lines=20"))
		}
		<-tick.C
	}
}

// testUpgrade installs a package whose configuration file differs, on a host where the
// administrator has changed the file as well.
func testUpgrade(t *testing.T, m *machine.Machine) {
	secrets := m.Run("sh", "-c", "sha256sum /var/lib/icebox/*.secret")
	mine := m.Run("sha256sum", "/etc/icebox/icebox.yaml")
	pid := m.Run("systemctl", "show", "--property=MainPID", "--value", "icebox")
	m.Run("dpkg", "--force-confold", "-i", "/mnt/install/later.deb")
	if got := m.Run("sha256sum", "/etc/icebox/icebox.yaml"); got != mine {
		t.Error("the upgrade changed the administrator's configuration")
	}
	if got := m.Run("tail", "-n", "1", "/etc/icebox/icebox.yaml.dpkg-dist"); got != "# version 2" {
		t.Errorf("the new configuration file beside it ends with %q", got)
	}
	if got := m.Run("stat", "--format=%U:%G %a", "/etc/icebox/icebox.yaml"); got != "root:icebox 640" {
		t.Errorf("the configuration is %s", got)
	}
	if now := m.Run("systemctl", "show", "--property=MainPID", "--value", "icebox"); now == pid || now == "0" {
		t.Errorf("the daemon was not restarted: its process ID was %s and is %s", pid, now)
	}
	if got := m.Run("sh", "-c", "sha256sum /var/lib/icebox/*.secret"); got != secrets {
		t.Error("the upgrade changed the generated secrets")
	}
	firstCandidate(t, m)
}

// testRemove checks that removing the package keeps configuration and secrets, and that a later
// installation uses them.
func testRemove(t *testing.T, m *machine.Machine) {
	mine := m.Run("sha256sum", "/etc/icebox/icebox.yaml")
	m.Run("dpkg", "--remove", "icebox")
	if out, err := m.Try("systemctl", "is-active", "icebox"); err == nil {
		t.Errorf("the unit is %s", out)
	}
	m.Run("sh", "-c", "! test -e /usr/bin/icebox && ! pgrep -x icebox && test -e /etc/icebox/tls/privkey.pem && ls /var/lib/icebox/*.secret")
	m.Run("dpkg", "--force-confold", "-i", "/mnt/install/later.deb")
	if got := m.Run("sha256sum", "/etc/icebox/icebox.yaml"); got != mine {
		t.Error("the configuration changed")
	}
	if got := m.Run("systemctl", "is-active", "icebox"); got != "active" {
		t.Errorf("after the reinstallation the unit is %s, want active", got)
	}
}

func testPurge(t *testing.T, m *machine.Machine) {
	m.Run("dpkg", "--purge", "icebox")
	left := m.Run("sh", "-c", "find /etc /var/lib /lib/systemd /usr/bin /usr/lib/sysusers.d /usr/lib/systemd /usr/share -xdev -ipath '*icebox*'")
	if left != "" {
		t.Errorf("after the purge these files remain:\n%s", left)
	}
	if out, err := m.Try("systemctl", "cat", "icebox"); err == nil {
		t.Errorf("after the purge the unit still exists: %s", out)
	}
}
