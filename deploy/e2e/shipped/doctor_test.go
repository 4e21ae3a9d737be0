package shipped

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"icebox/deploy/e2e/machine"
)

// breakages are mistakes that happen on real hosts. breakIt causes one, repair undoes it, and check
// and text identify the finding that must name it. In both scripts, $conf is the path of the
// configuration file.
var breakages = map[string]struct{ breakIt, repair, check, text string }{
	"a mistake in the configuration": {`sed -i 's/^turn:/turn:\n  relm: x/' $conf`, `sed -i '/relm: x/d' $conf`, "config", "unknown key (did you mean realm?)"},
	"the daemon is down":             {`systemctl stop icebox`, `systemctl start icebox`, "daemon", "the daemon does not answer"},
	"coturn is still running": {
		`systemctl stop icebox; systemd-run -q --unit=coturn-again turnserver -n -L 45.33.3.2 -p 3478 --no-cli -a -r x -u a:b --log-file stdout
		for i in $(seq 100); do ss -lun | grep -q :3478 && break; sleep 0.1; done`,
		`systemctl stop coturn-again; systemctl start icebox`, "ports", "in use by turnserver"},
	"a firewall without the relay range": {
		`nft 'table inet t { chain input { type filter hook input priority 0; policy drop; iif lo accept; tcp dport { 22, 80, 3478, 5349 } accept; udp dport { 3478, 5349 } accept; }; }'`,
		`nft delete table inet t`, "firewall", "drops UDP to the relay range 49152-65535"},
	"a key that only root may read": {`chmod 600 /etc/icebox/tls/privkey.pem`, `chmod 640 /etc/icebox/tls/privkey.pem`, "key", "the user icebox may not read the key"},
	"an Nginx site without WebSockets": {
		`install -d /etc/nginx/sites-enabled; echo 'server { location / { proxy_pass http://127.0.0.1:8080; } }' >/etc/nginx/sites-enabled/video`,
		`rm /etc/nginx/sites-enabled/video`, "nginx", "/etc/nginx/sites-enabled/video does not forward WebSockets"},
	"a name with another address": {`cp /etc/hosts /etc/hosts.e2e; echo 203.0.113.9 turn.example.org >/etc/hosts`, `cp /etc/hosts.e2e /etc/hosts; rm /etc/hosts.e2e`,
		"public_host", "turn.example.org resolves to 203.0.113.9"},
	"a certificate for another name": {`sed -i 's/^public_host: .*/public_host: call.example.org/' $conf`, `sed -i 's/^public_host: .*/public_host: turn.example.org/' $conf`,
		"certificate", "clients come to call.example.org"},
	"an external address without interface": {`echo 'external_ip: [{public: 8.8.8.8, private: 10.1.2.3}]' >>$conf`, `sed -i '/^external_ip:/d' $conf`,
		"external_ip", "10.1.2.3 is not an address of this host"},
	"few file descriptors": {
		`mkdir -p /run/systemd/system/icebox.service.d; printf '[Service]\nLimitNOFILE=1024\n' >/run/systemd/system/icebox.service.d/few.conf; systemctl daemon-reload; systemctl restart icebox`,
		`rm -r /run/systemd/system/icebox.service.d; systemctl daemon-reload; systemctl restart icebox`, "descriptors", "may open 1024 files"},
	"a realm that needs a restart": {`sed -i 's/^  realm: icebox/  realm: other/' $conf`, `sed -i 's/^  realm: other/  realm: icebox/' $conf`,
		"realm", "the daemon runs with the realm icebox, but the configuration has other"},
}

// finding is one finding of `icebox doctor --json`.
type finding struct{ Check, Level, Text, Fix string }

// runDoctor runs `icebox doctor` and returns its findings.
func runDoctor(t *testing.T, m *machine.Machine) []finding {
	t.Helper()
	out, err := m.Try("icebox", "doctor", "--json")
	var report struct{ Findings []finding }
	text, _, _ := strings.Cut(out, "\nicebox: ")
	if json.Unmarshal([]byte(text), &report) != nil {
		t.Fatalf("%v: %s", err, out)
	}
	problem := slices.ContainsFunc(report.Findings, func(f finding) bool { return f.Level == "problem" })
	if problem != (err != nil) {
		t.Errorf("icebox doctor ended with the error %v after printing %s", err, text)
	}
	return report.Findings
}

// testDoctor checks that `icebox doctor` names the problem of each broken set-up, and finds none in
// a working one.
func testDoctor(t *testing.T, m *machine.Machine) {
	m.Run("sh", "-c", "echo "+machine.Address+" "+turnHost+" >>/etc/hosts")
	expectNoProblem := func(when string) {
		relays := 0
		for _, f := range runDoctor(t, m) {
			if f.Level == "problem" && f.Check != "descriptors" { // a test machine may not be able to raise that limit
				t.Errorf("%s: %+v", when, f)
			}
			if f.Check == "relay" && f.Level == "ok" {
				relays++
			}
		}
		if relays != 4 {
			t.Errorf("%s: %d transports relay, want 4: udp, tcp, tls and dtls", when, relays)
		}
	}
	expectNoProblem("before")
	for name, b := range breakages {
		t.Run(name, func(t *testing.T) {
			m.Run("sh", "-c", "conf=/etc/icebox/icebox.yaml; "+b.breakIt)
			findings := runDoctor(t, m)
			m.Run("sh", "-c", "conf=/etc/icebox/icebox.yaml; "+b.repair)
			if !slices.ContainsFunc(findings, func(f finding) bool {
				return f.Check == b.check && f.Level == "problem" && strings.Contains(f.Text, b.text) && f.Fix != ""
			}) {
				t.Errorf("no finding of check %s has the text %q: %+v", b.check, b.text, findings)
			}
		})
	}
	expectNoProblem("after")
}
