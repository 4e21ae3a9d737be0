package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// load calls Load on a file with this text.
func load(t *testing.T, text string, s Source) *Config {
	t.Helper()
	s.Path = filepath.Join(t.TempDir(), "icebox.yaml")
	if err := os.WriteFile(s.Path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNoFileIsSafeDefaults(t *testing.T) {
	c, err := Load(Source{StateDir: "/state"})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.HTTP.Listen) != 1 || !c.HTTP.Listen[0].Address.Loopback() || !c.Admin.Address.Loopback() {
		t.Errorf("HTTP on %v and admin on %v, want loopback", c.HTTP.Listen, c.Admin.Address)
	}
	want := []TURNListen{{Address: Endpoint{Port: 3478}, Transports: []Transport{UDP, TCP}}}
	if !reflect.DeepEqual(c.TURN.Listen, want) {
		t.Errorf("TURN on %v, want %v", c.TURN.Listen, want)
	}
	if c.StateDir != "/state" || c.TLS.Enabled() || c.TURN.Users != nil || c.Credentials.Secrets != nil {
		t.Errorf("not the defaults:\n%s", c.Effective())
	}
	if len(c.Warnings()) != 0 {
		t.Errorf("warnings %q", c.Warnings())
	}
}

// Viper would fold the case of keys and split them at dots.
func TestNamesSurviveUnharmed(t *testing.T) {
	c := load(t, `
turn:
  users:
    - {name: Al.ice@X, password: Pa.ss=Word}
    - {name: al.ice@x, key: 00112233445566778899AABBCCDDEEFF}
    - {name: "0123", password: 0123}
signal:
  keys:
    - {name: Web.App, key: Key.With.Dots.AND.Case}
http:
  origins:
    - {origin: https://app.example.org}
`, Source{})
	got := []string{
		c.TURN.Users[0].Name, c.TURN.Users[0].Password.Reveal(), c.TURN.Users[1].Name, string(c.TURN.Users[1].Key.Bytes()),
		c.TURN.Users[2].Name, c.TURN.Users[2].Password.Reveal(), c.Signal.Keys[0].Name, c.Signal.Keys[0].Key.Reveal(),
		c.HTTP.Origins[0].Origin,
	}
	want := []string{
		"Al.ice@X", "Pa.ss=Word", "al.ice@x", "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff",
		"0123", "0123", "Web.App", "Key.With.Dots.AND.Case", "https://app.example.org",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLayers(t *testing.T) {
	file := "turn:\n  realm: file\n  max_session: 2h\nlog: {level: warn}\n"
	c := load(t, file, Source{
		Env:   []string{"ICEBOX_TURN_REALM=Env.Realm", "ICEBOX_LOG_LEVEL=error", "ICEBOX_SHUTDOWN_DRAIN="},
		Flags: map[string]string{"log.level": "debug"},
	})
	if c.TURN.Realm != "Env.Realm" || c.TURN.MaxSession != 2*time.Hour || c.Log.Level != "debug" || c.Log.Format != Text {
		t.Errorf("wrong layer won:\n%s", c.Effective())
	}
	if c.Shutdown.Drain != 10*time.Second {
		t.Errorf("an empty variable gave drain %v", c.Shutdown.Drain)
	}
}

func TestEnvironment(t *testing.T) {
	c, err := Load(Source{Env: []string{
		"ICEBOX_TURN_USERS=[{name: Al.ice@X, password: a}, {name: b, password: c}]",
		"ICEBOX_EXTERNAL_IP=203.0.113.7/10.0.0.5,2001:db8::7",
		"ICEBOX_HTTP_TRUSTED_PROXIES=10.0.0.0/8, 192.0.2.1",
		"ICEBOX_HTTP_LISTEN=127.0.0.1:0,:9090",
		"ICEBOX_HTTP_ORIGINS=https://a.example",
		"ICEBOX_TURN_LISTEN=[{address: ':53', transports: [udp]}]",
		"ICEBOX_TURN_LIMITS_ALLOCATIONS_PER_USER=7",
		"ICEBOX_TLS=self-signed",
		"ICEBOX_CONFIG=/etc/elsewhere.yaml",
		"ICEBOX_SERVICE_HOST=10.0.0.1", "ICEBOX_PORT=tcp://10.0.0.1:80", "ICEBOX_PORT_3478_UDP_ADDR=10.0.0.1",
		"PATH=/bin", "iceboxed=1",
	}})
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddr
	if c.TURN.Users[0].Name != "Al.ice@X" || len(c.TURN.Users) != 2 || c.TURN.Limits.AllocationsPerUser != 7 || !c.TLS.SelfSigned {
		t.Errorf("not what the environment says:\n%s", c.Effective())
	}
	if want := []ExternalIP{{addr("203.0.113.7"), addr("10.0.0.5")}, {Public: addr("2001:db8::7")}}; !slices.Equal(c.ExternalIP, want) {
		t.Errorf("external_ip %v, want %v", c.ExternalIP, want)
	}
	if want := []HTTPListen{{Address: Endpoint{Addr: addr("127.0.0.1")}}, {Address: Endpoint{Port: 9090}}}; !reflect.DeepEqual(c.HTTP.Listen, want) {
		t.Errorf("http.listen %v, want %v", c.HTTP.Listen, want)
	}
	if want := []TURNListen{{Address: Endpoint{Port: 53}, Transports: []Transport{UDP}}}; !reflect.DeepEqual(c.TURN.Listen, want) {
		t.Errorf("turn.listen %v, want %v: Load must add nothing to a list that the user set", c.TURN.Listen, want)
	}
	if len(c.HTTP.TrustedProxies) != 2 || c.HTTP.TrustedProxies[1].String() != "192.0.2.1/32" || c.HTTP.Origins[0].Origin != "https://a.example" {
		t.Errorf("http is %+v", c.HTTP)
	}
}

func TestBadEnvironment(t *testing.T) {
	for entry, want := range map[string]string{
		"ICEBOX_TURN_REALMS=x":          "ICEBOX_TURN_REALMS: unknown variable (did you mean ICEBOX_TURN_REALM?)",
		"ICEBOX_TLS_CERTIFICATE=x":      "ICEBOX_TLS_CERTIFICATE: unknown variable (did you mean ICEBOX_TLS?)",
		"ICEBOX_BANANA=x":               "ICEBOX_BANANA: unknown variable",
		"ICEBOX_TURN_USERS=bob":         "ICEBOX_TURN_USERS: turn.users[0]: want a record of keys and values, got a single value",
		"ICEBOX_TURN_USERS=[":           "ICEBOX_TURN_USERS: turn.users: did not find expected node content",
		"ICEBOX_TURN_USERS=[{name: b}]": "ICEBOX_TURN_USERS: turn.users[0]: needs one of password, key and file",
		"ICEBOX_TURN_REALM=\x01":        "ICEBOX_TURN_REALM: turn.realm: has characters that cannot be printed",
		"ICEBOX_HTTP_LISTEN=8080":       `ICEBOX_HTTP_LISTEN: http.listen[0]: want an address and a port such as :3478 or 127.0.0.1:8080, got "8080"`,
	} {
		if _, err := Load(Source{Env: []string{entry}}); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", entry, err, want)
		}
	}
}

func TestEnvironmentNamesAreUnique(t *testing.T) {
	seen := make(map[string]string)
	for _, s := range settings() {
		if other, ok := seen[s.env()]; ok || kubernetes.MatchString(s.env()) || s.env() == EnvFile {
			t.Errorf("%s of %s has another meaning: %s", s.env(), s.path, other)
		}
		seen[s.env()] = s.path
	}
}

func TestCertificateAddsListener(t *testing.T) {
	want := []TURNListen{{Address: Endpoint{Port: 3478}, Transports: []Transport{UDP, TCP}}, {Address: Endpoint{Port: 5349}, Transports: []Transport{OverTLS, DTLS}}}
	if c := load(t, "tls: self-signed\n", Source{}); !reflect.DeepEqual(c.TURN.Listen, want) {
		t.Errorf("TURN on %v, want %v", c.TURN.Listen, want)
	}
}

func TestNothingBelowKeyIsUnset(t *testing.T) {
	c := load(t, "turn:\n  # users:\n  listen:\nlog:\ntls:\n", Source{})
	if len(c.TURN.Listen) != 1 || c.Log.Level != "info" {
		t.Errorf("not the defaults:\n%s", c.Effective())
	}
	load(t, "# nothing\n", Source{})
	load(t, "", Source{})
}

func TestFileErrors(t *testing.T) {
	if _, err := Load(Source{Path: "testdata/none.yaml"}); err == nil || err.Error() != "testdata/none.yaml: stat testdata/none.yaml: no such file or directory" {
		t.Errorf("got %v", err)
	}
}

func TestListenersMayShareAPortNumber(t *testing.T) {
	load(t, `
tls: self-signed
turn:
  listen:
    - {address: 127.0.0.1:443, transports: [udp, dtls]}
    - {address: "[::1]:443", transports: [udp, tcp]}
    - {address: 0.0.0.0:5349, transports: [tls]}
    - {address: "[::]:5349", transports: [tls]}
    - {address: 127.0.0.1:0}
    - {address: 127.0.0.1:0}
http:
  listen:
    - {address: 127.0.0.1:443, tls: true}
`, Source{})
}

func TestFlagNames(t *testing.T) {
	if got := FlagName("public_host") + " " + FlagName("log.level"); got != "public-host log-level" {
		t.Errorf("got %s", got)
	}
}

func TestWarnings(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("sixteen bytes or more\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(secret, 0o644); err != nil {
		t.Fatal(err)
	}
	c := load(t, "credentials:\n  secrets:\n    - file: "+secret+"\nadmin:\n  address: 0.0.0.0:9641\n", Source{})
	if got := c.Credentials.Secrets[0].Secret.Reveal(); got != "sixteen bytes or more" {
		t.Errorf("secret %q", got)
	}
	all := strings.Join(c.Warnings(), "\n")
	for _, want := range []string{
		"icebox.yaml:3: credentials.secrets[0].file: every user of this host can read " + secret + ": run chmod 640 on it",
		"icebox.yaml:5: admin.address: metrics and health are open to every host that can reach 0.0.0.0:9641",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no warning %q in %q", want, all)
		}
	}
}
