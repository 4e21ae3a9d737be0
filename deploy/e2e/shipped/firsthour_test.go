package shipped

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"icebox/deploy/e2e/machine"
	"icebox/deploy/e2e/pki"
)

// installStubs installs replacements for what a test machine can't have: certbot, which needs a
// certificate authority that knows the machine's name, and ufw, which needs its own firewall. They
// accept the arguments of the real programs. The certbot stub creates certbot's directory tree with
// the same file modes and runs the deploy hook.
const installStubs = `
rm -f /usr/sbin/policy-rc.d
echo '45.33.3.2 turn.example.org' >>/etc/hosts
cat >/usr/local/bin/certbot <<'END'
#!/bin/sh
set -eu
[ "$1 $2 $3" = "certonly --standalone -d" ] && [ "$5" = --deploy-hook ]
live=/etc/letsencrypt/live/$4 archive=/etc/letsencrypt/archive/$4
install -d -m 700 /etc/letsencrypt/live /etc/letsencrypt/archive
install -d "$live" "$archive"
install -m 644 /mnt/install/cert.pem "$archive/fullchain1.pem"
install -m 600 /mnt/install/key.pem "$archive/privkey1.pem"
for name in fullchain privkey; do ln -sfn "../../archive/$4/${name}1.pem" "$live/$name.pem"; done
RENEWED_LINEAGE=$live RENEWED_DOMAINS=$4 "$6"
END
cat >/usr/local/bin/ufw <<'END'
#!/bin/sh
[ $# = 2 ] && [ "$1" = allow ] && echo "$2" | grep -qxE '[0-9]+(:[0-9]+)?/(tcp|udp)'
END
chmod 755 /usr/local/bin/certbot /usr/local/bin/ufw
cp /mnt/install/icebox.deb /root/icebox_1.deb
`

// TestFirstHour runs every code block of deploy/README.md, in order.
func TestFirstHour(t *testing.T) {
	t.Parallel()
	files := packages(t)
	certificate := pki.Make(t, turnHost)
	for name, path := range map[string]string{"cert.pem": certificate.Cert, "key.pem": certificate.Key} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = text
	}
	files["install.sh"] = []byte(installStubs)
	m := machine.Boot(t, files)

	parts := regexp.MustCompile(`(?m)^## `).Split(string(readFile(t, "deploy", "README.md")), -1)
	fence := regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")
	ran := 0
	for _, part := range parts[1:] {
		heading, body, _ := strings.Cut(part, "\n")
		for _, block := range fence.FindAllStringSubmatch(body, -1) {
			if block[1] != "sh" {
				t.Errorf("%s: the language of a code block is %q, but this test only runs sh", heading, block[1])
				continue
			}
			if heading == "Upgrade" {
				m.Run("mv", "/mnt/install/later.deb", "/root/icebox_1.deb")
			}
			// A test machine may not be able to raise the limit of open files. That is the only
			// problem that the doctor may find here.
			script := strings.ReplaceAll(block[2], "icebox doctor\n", "icebox doctor --json >/tmp/doctor || ! grep '\"level\": \"problem\"' -B1 /tmp/doctor | grep '\"check\"' | grep -v descriptors\n")
			if out, err := m.Try("bash", "-euc", "cd /root\n"+script); err != nil {
				t.Fatalf("%s: %v:\n%s\n%s", heading, err, block[2], out)
			}
			ran++
		}
	}
	if ran < 12 {
		t.Errorf("only %d code blocks were found", ran)
	}
	if out, err := m.Try("which", "icebox"); err == nil {
		t.Errorf("after the last block %s is still installed", out)
	}
}
