package contender

import (
	"context"
	"crypto/tls"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

func TestParse(t *testing.T) {
	here, err := filepath.Abs("turnserver")
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]Contender{
		"/usr/bin/turnserver":                    {Kind: Coturn, Name: "coturn", Path: "/usr/bin/turnserver"},
		"4.17=/opt/turnserver":                   {Kind: Coturn, Name: "4.17", Path: "/opt/turnserver"},
		"gso=./turnserver:--udp-gso --threads=2": {Kind: Coturn, Name: "gso", Path: here, Args: []string{"--udp-gso", "--threads=2"}},
		"4.17 gso=/opt/turnserver:--udp-gso":     {Kind: Coturn, Name: "4.17 gso", Path: "/opt/turnserver", Args: []string{"--udp-gso"}},
		"turnserver":                             {Kind: Coturn, Name: "coturn", Path: "turnserver"}, // looked up in PATH
		"./turnserver:--cpus=2":                  {Kind: Coturn, Name: "coturn", Path: here, Args: []string{"--cpus=2"}},
	}
	for text, want := range cases {
		got, err := Parse(Coturn, text)
		if d := cmp.Diff(want, got, cmp.Transformer("nil", func(s []string) string { return strings.Join(s, " ") })); err != nil || d != "" {
			t.Errorf("%q: %v, -want +got:\n%s", text, err, d)
		}
	}
	for _, text := range []string{"", "=path", "name=", "name=:--arg"} {
		if c, err := Parse(Icebox, text); err == nil {
			t.Errorf("Parse accepts %q as %+v", text, c)
		}
	}
}

func TestConfigurations(t *testing.T) {
	s := &Server{Plain: netip.MustParseAddrPort("127.0.0.1:1111"), Secure: netip.MustParseAddrPort("127.0.0.1:2222")}
	o := Options{Address: netip.MustParseAddr("127.0.0.1"), Peers: netip.MustParsePrefix("127.0.0.0/8"), Dir: t.TempDir()}
	for kind, want := range map[Kind][]string{
		Icebox: {"127.0.0.1:1111", "127.0.0.1:2222", Realm, User, Password, "127.0.0.0/8", "certificate.pem", "key.pem"},
		Coturn: {"listening-port=1111\n", "tls-listening-port=2222\n", "user=" + User + ":" + Password + "\n", "allow-loopback-peers\n", "allowed-peer-ip=127.0.0.0-127.255.255.255\n"},
	} {
		args, err := Contender{Kind: kind, Name: string(kind)}.writeRelayConfig(s, o)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(args[len(args)-1])
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(string(b), w) {
				t.Errorf("%s: %q is missing from\n%s", kind, w, b)
			}
		}
		if kind == Icebox {
			if err := yaml.Unmarshal(b, new(map[string]any)); err != nil {
				t.Errorf("icebox's configuration is not valid YAML: %v", err)
			}
		}
	}
	if _, err := tls.LoadX509KeyPair(filepath.Join(o.Dir, "certificate.pem"), filepath.Join(o.Dir, "key.pem")); err != nil {
		t.Error(err)
	}
}

func TestSignallingConfigurations(t *testing.T) {
	s := &Server{Plain: netip.MustParseAddrPort("127.0.0.1:1111"), Secure: netip.MustParseAddrPort("127.0.0.1:2222")}
	o := Options{Address: netip.MustParseAddr("127.0.0.1"), Dir: t.TempDir()}
	args, err := Contender{Kind: Icebox}.writeSignalConfig(s, o)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(args[len(args)-1])
	if err != nil {
		t.Fatal(err)
	}
	var settings struct {
		Signal struct{ Limits map[string]int }
	}
	if err := yaml.Unmarshal(b, &settings); err != nil || settings.Signal.Limits["connections_per_address"] != unlimited {
		t.Errorf("icebox's configuration is %+v, %v:\n%s", settings, err, b)
	}
	args, err = Contender{Kind: Node}.writeSignalConfig(s, o)
	if err != nil || len(args) != 6 || args[2] != "1111" || args[3] != "2222" {
		t.Errorf("writeSignalConfig returned %q, %v", args, err)
	}
	if b, err := os.ReadFile(args[0]); err != nil || string(b) != nodeServer {
		t.Errorf("nodeserver.cjs was not written: %v", err)
	}
}

func TestLastAddress(t *testing.T) {
	for text, want := range map[string]string{
		"127.0.0.0/8": "127.255.255.255", "10.1.2.3/32": "10.1.2.3", "192.0.2.128/25": "192.0.2.255",
		"fd00::/64": "fd00::ffff:ffff:ffff:ffff", "::1/128": "::1", "0.0.0.0/0": "255.255.255.255",
	} {
		if got := lastAddr(netip.MustParsePrefix(text)); got.String() != want {
			t.Errorf("the last address of %s is %v, want %s", text, got, want)
		}
	}
}

func TestStartReportsWhyAServerFailed(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "server")
	if err := os.WriteFile(script, []byte("#!"+sh+"\necho no such port; exit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	o := Options{Address: netip.MustParseAddr("127.0.0.1"), Peers: netip.MustParsePrefix("127.0.0.0/8"), Dir: t.TempDir()}
	for path, want := range map[string]string{
		script:                             "no such port",
		filepath.Join(t.TempDir(), "none"): "no such file",
	} {
		_, err := Contender{Kind: Coturn, Name: "x", Path: path}.Start(t.Context(), o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Start returned %v, want an error with %q", err, want)
		}
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "server")
	if err := os.WriteFile(script, []byte("#!"+sh+"\nexec tail -f /dev/null\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := Options{Address: netip.MustParseAddr("127.0.0.1"), Peers: netip.MustParsePrefix("127.0.0.0/8"), Dir: t.TempDir()}
	if _, err := (Contender{Kind: Icebox, Name: "x", Path: script}).Start(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("Start returned %v, want context.Canceled", err)
	}
}
