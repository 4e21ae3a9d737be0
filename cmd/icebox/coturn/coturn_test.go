package coturn

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"icebox/config"
)

// TestEveryOptionIsKnown: the tables have all options in the example files of coturn 4.6.1 and 4.17.1.
func TestEveryOptionIsKnown(t *testing.T) {
	for _, name := range []string{"example-4.6.1.options", "example-4.17.1.options"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		options := strings.Fields(string(text))
		if len(options) < 100 {
			t.Errorf("%s names %d options", name, len(options))
		}
		for _, o := range options {
			if _, ok := outcomes[o]; !ok {
				t.Errorf("%s: %s is unknown", name, o)
			}
		}
	}
}

func TestOutcomesAreComplete(t *testing.T) {
	var listed int
	for _, part := range []map[string]outcome{translatedOptions, network, accounts, encryption, operation} {
		listed += len(part)
	}
	if listed != len(outcomes) {
		t.Errorf("the tables hold %d options, %d of them different ones", listed, len(outcomes))
	}
	for o, f := range outcomes {
		if f.text == "" || (f.kind == translated) != (translatedOptions[o] != outcome{}) {
			t.Errorf("%s: %+v", o, f)
		}
	}
	for o := range switches {
		if _, ok := outcomes[o]; !ok {
			t.Errorf("the switch %s is unknown", o)
		}
	}
}

// load loads the configuration that an import wrote.
func load(t *testing.T, r *Result, read func(string) ([]byte, error)) *config.Config {
	t.Helper()
	c, err := config.Load(config.Source{Path: "icebox.yaml", ReadFile: func(name string) ([]byte, os.FileMode, error) {
		if name == "icebox.yaml" {
			return r.YAML, 0o600, nil
		}
		data, err := read(name)
		return data, 0o640, err
	}})
	if err != nil {
		t.Fatalf("%v\n%s", err, r.YAML)
	}
	return c
}

func nothing(string) ([]byte, error) { return nil, fs.ErrNotExist }

func convert(t *testing.T, text string, read func(string) ([]byte, error)) (*Result, *config.Config) {
	t.Helper()
	r, err := Import(strings.NewReader(text), Options{Name: "/etc/turnserver.conf", ReadFile: read})
	if err != nil {
		t.Fatal(err)
	}
	return r, load(t, r, read)
}

// lines returns the lines of a configuration that begin with one of keys, in the form that `icebox check` prints.
func lines(c *config.Config, keys ...string) []string {
	var found []string
	for l := range strings.SplitSeq(c.Effective(), "\n") {
		l = strings.NewReplacer("'", "", `"`, "").Replace(strings.TrimSpace(l))
		if slices.ContainsFunc(keys, func(k string) bool { return strings.HasPrefix(l, k) }) {
			found = append(found, l)
		}
	}
	return found
}

func TestTranslation(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		keys []string
		want []string
	}{
		"nothing": {"", []string{"- {address", "realm", "relay_ports"}, []string{
			"realm: icebox", "- {address: :3478, transports: [udp, tcp]}", "relay_ports: 49152-65535", "- {address: 127.0.0.1:8080}"}},
		"ports": {"listening-port=443\nmin-port 50000\nmax-port=\"50100\"", []string{"- {address: :", "relay_ports"}, []string{
			"- {address: :443, transports: [udp, tcp]}", "relay_ports: 50000-50100"}},
		"low ports": {"min-port=500", []string{"relay_ports"}, []string{"relay_ports: 1024-65535"}},
		"a later line wins": {"realm=a\nrealm=b\nlistening-port=1\nlistening-port=4000", []string{"realm", "- {address: :"}, []string{
			"realm: b", "- {address: :4000, transports: [udp, tcp]}"}},
		"addresses": {"listening-ip=192.0.2.1\nlistening-ip=2001:db8::1\nalt-listening-port=3479\nno-tcp", []string{"- {address: 192", "- {address: [", "relay_addresses"}, []string{
			"- {address: 192.0.2.1:3478, transports: [udp]}", "- {address: 192.0.2.1:3479, transports: [udp]}",
			"- {address: [2001:db8::1]:3478, transports: [udp]}", "- {address: [2001:db8::1]:3479, transports: [udp]}",
			"relay_addresses: [192.0.2.1, 2001:db8::1]"}},
		"all of a family": {"listening-ip=0.0.0.0\nlistening-ip=192.0.2.1", []string{"- {address: 0", "relay_addresses"}, []string{
			"- {address: 0.0.0.0:3478, transports: [udp, tcp]}", "relay_addresses: []"}},
		"in the way": {"listening-port=8080\naux-server=127.0.0.1:8081\nprometheus-port=8082", []string{"- {address: 127.0.0.1:808", "address: 127"}, []string{
			"- {address: 127.0.0.1:8081, transports: [udp, tcp]}", "- {address: 127.0.0.1:8083}", "address: 127.0.0.1:8082"}},
		"aux": {"aux-server=192.0.2.1:3500\naux-server=192.0.2.1:3478\nrelay-ip=192.0.2.9\nno-udp=0\nno-udp", []string{"- {address: :", "- {address: 192", "relay_addresses"}, []string{
			"- {address: :3478, transports: [tcp]}", "- {address: 192.0.2.1:3500, transports: [tcp]}", "relay_addresses: [192.0.2.9]"}},
		"proxy": {"tcp-proxy-port=5555\nno-tcp", []string{"- {address: :"}, []string{
			"- {address: :3478, transports: [udp]}", "- {address: :5555, transports: [tcp], proxy_protocol: true}"}},
		"proxy on a port in use": {"tcp-proxy-port=3478", []string{"- {address: :"}, []string{"- {address: :3478, transports: [udp, tcp]}"}},
		"nat": {"external-ip=203.0.113.7/10.0.0.5\nexternal-ip=2001:db8::7", []string{"- {public"}, []string{
			"- {public: 203.0.113.7, private: 10.0.0.5}", "- {public: 2001:db8::7}"}},
		"quotas": {"user-quota=12\ntotal-quota=1200\nmax-bps=3000000\nbps-capacity=5000000000", []string{"allocations", "bandwidth"}, []string{
			"allocations_per_user: 12", "allocations_per_address: 120", "allocations: 1200", "bandwidth: 4768MiB", "bandwidth_per_user: 0",
			"bandwidth_per_address: 0", "bandwidth_per_allocation: 3000000"}},
		"shared users": {"user=a:b", []string{"allocations_per_user"}, []string{"allocations_per_user: 16384"}},
		"users": {"user=Al.ice@X:open : sesame\nuser=bob:0x00112233445566778899AABBCCDDEEFF\nuser=yes:1\nuser=a:1\nuser=a:2\nrealm=x", []string{"- {name", "realm"}, []string{
			"realm: x", "- {name: Al.ice@X, password: <hidden>}", "- {name: bob, key: <hidden>}", "- {name: yes, password: <hidden>}", "- {name: a, password: <hidden>}"}},
		"secrets": {"use-auth-secret\nstatic-auth-secret=0123456789abcdef\nstatic-auth-secret=north\nuser=a:b", []string{"- {secret", "- {name", "users"}, []string{
			"users: []", "- {secret: <hidden>}", "- {secret: <hidden>, allow_short: true}", "users: []" /* of signal.pocketbase */}},
		"peers": {"denied-peer-ip=10.0.0.0-10.255.255.255\nallowed-peer-ip=10.0.0.5\ndenied-peer-ip=2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", []string{"- {deny: 10.0.0", "- {allow", "- {deny: 2001"}, []string{
			"- {deny: 10.0.0.0/30}", "- {deny: 10.0.0.4/32}", "- {deny: 10.0.0.6/31}", "- {deny: 10.0.0.8/29}", "- {deny: 10.0.0.16/28}", "- {deny: 10.0.0.32/27}",
			"- {deny: 10.0.0.64/26}", "- {deny: 10.0.0.128/25}", "- {deny: 2001:db8::/32}", "- {allow: 10.0.0.5/32}"}},
		"log":      {"verbose\nprometheus-port=9700", []string{"level", "address: 127.0.0.1:97"}, []string{"level: debug", "address: 127.0.0.1:9700"}},
		"no log":   {"verbose=off", []string{"level"}, []string{"level: info"}},
		"warnings": {"Verbose\nlog-min-level=warning", []string{"level"}, []string{"level: warn"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, c := convert(t, test.text, nothing)
			if diff := cmp.Diff(test.want, lines(c, test.keys...)); diff != "" {
				t.Errorf("want -, got +:\n%s\n%s", diff, c.Effective())
			}
		})
	}
}

// TestSecretsAreKept: the import does not change secrets.
func TestSecretsAreKept(t *testing.T) {
	_, c := convert(t, "realm=r\nuser=alice:p#&*!: '\"x\nuser=bob: 0xABCDEF00000000000000000000000000", nothing)
	users := c.TURN.Users
	if users[0].Password.Reveal() != "p#&*!: '\"x" || users[1].Key.Bytes()[0] != 0xAB {
		t.Errorf("got %q and %x", users[0].Password.Reveal(), users[1].Key.Bytes())
	}
	_, c = convert(t, "static-auth-secret=\"quoted # not a comment\"", nothing)
	if got := c.Credentials.Secrets[0].Secret.Reveal(); got != "quoted # not a comment" {
		t.Errorf("got %q", got)
	}
}

// TestNotes: each line that is not translated has a note with its number and the reason, and no note contains a secret.
func TestNotes(t *testing.T) {
	r, _ := convert(t, strings.Join([]string{
		"# comment", "fingerprint", "lt-cred-mech", "cli-password=qwerty-secret", "no-such-thing=1", "tls-listening-port=5349",
		"cert=missing.pem", "pkey=missing.key", "no-cli=0", "user=colonless-secret", "listening-port=many", "max-bps=-1",
	}, "\n"), nothing)
	got := func(notes []Note) (all []string) {
		for _, n := range notes {
			all = append(all, n.String())
		}
		return all
	}
	want := []string{
		"line 4: cli-password: " + noCLI,
		"line 5: no-such-thing: coturn has no such option",
		"line 7: cert: file does not exist, so there is no TLS and DTLS: set tls later",
		"line 8: pkey: file does not exist, so there is no TLS and DTLS: set tls later",
		"line 10: user: want NAME:PASSWORD or NAME:0xKEY",
		`line 11: listening-port: "many" is not a number from 0 to 65535`,
		`line 12: max-bps: "-1" is not a number from 0 to 2251799812636672`,
	}
	if diff := cmp.Diff(want, got(r.Lost)); diff != "" {
		t.Errorf("lost: want -, got +:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"line 2: fingerprint: " + outcomes["fingerprint"].text, "line 3: lt-cred-mech: " + outcomes["lt-cred-mech"].text}, got(r.BuiltIn)); diff != "" {
		t.Errorf("built in: want -, got +:\n%s", diff)
	}
	if r.Translated != 1 {
		t.Errorf("%d lines were translated, want 1", r.Translated)
	}
	for _, text := range append(append(got(r.Lost), got(r.Warnings)...), string(r.YAML)) {
		if strings.Contains(text, "-secret") {
			t.Errorf("a secret is in %q", text)
		}
	}
}

func keyPair(t *testing.T) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

func TestCertificate(t *testing.T) {
	cert, key := keyPair(t)
	read := func(name string) ([]byte, error) {
		switch name {
		case "/etc/cert.pem":
			return cert, nil
		case "/etc/key.pem":
			return key, nil
		}
		return nil, errors.New("relative to the wrong place: " + name)
	}
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"4.6":          {"", []string{"- {address: :3478, transports: [udp, tcp]}", "- {address: :5349, transports: [tls, dtls]}"}},
		"no dtls":      {"no-dtls\ntls-listening-port=443", []string{"- {address: :3478, transports: [udp, tcp]}", "- {address: :443, transports: [tls]}"}},
		"one port":     {"tls-listening-port=3478", []string{"- {address: :3478, transports: [udp, tls, dtls]}"}},
		"no tls":       {"no-tls\nno-dtls", []string{"- {address: :3478, transports: [udp, tcp]}"}},
		"alternatives": {"no-tcp\nno-dtls\nalt-tls-listening-port=5350", []string{"- {address: :3478, transports: [udp]}", "- {address: :5349, transports: [tls]}", "- {address: :5350, transports: [tls]}"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, c := convert(t, "cert=cert.pem\npkey=key.pem\n"+test.text, read)
			if diff := cmp.Diff(test.want, lines(c, "- {address: :")); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
			if c.TLS.Certificate != "/etc/cert.pem" {
				t.Errorf("the certificate is %q", c.TLS.Certificate)
			}
		})
	}
	r, c := convert(t, "cert=cert.pem\npkey=key.pem\npkey-pwd=hello-password", read)
	if c.TLS.Enabled() || len(r.Lost) != 3 {
		t.Errorf("a key with a password: %+v", r.Lost)
	}
}

// FuzzImport: every result is a valid configuration.
func FuzzImport(f *testing.F) {
	f.Add("listening-port=3478\nexternal-ip=1.2.3.4/10.0.0.1\nuser=a:b\nrealm=x\ndenied-peer-ip=1.0.0.1-1.0.0.9")
	f.Add("static-auth-secret=north\nlistening-ip=::\nlistening-ip=::ffff:1.2.3.4\nrelay-ip=fe80::1%eth0\naux-server=[::1]:99")
	f.Add("external-ip=1.2.3.4\nexternal-ip=1.2.3.4/1.2.3.5\nexternal-ip=::/::\ntls-listening-port=0\nalt-listening-port=9641")
	f.Add("prometheus-port=3478\nlistening-ip=127.0.0.1\nlistening-port=8080")
	f.Add("user=\u2028:\x01\nuser=!x:&y\nrealm=~\nstatic-auth-secret=null\nxx\u0085turn: x")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Import(strings.NewReader(text), Options{Name: "/etc/x.conf", ReadFile: nothing})
		if err != nil {
			return
		}
		load(t, r, nothing)
	})
}
