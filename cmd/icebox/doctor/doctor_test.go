package doctor

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"icebox/cmd/icebox/admin"
	"icebox/config"
	"icebox/turnserver/wire"
)

var now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// setUp describes a host without problems. Tests change parts of it.
type setUp struct {
	t      *testing.T
	text   string            // of the configuration
	files  map[string]string // of the host
	system System
	target []Target
	relays Relays
}

const healthy = `
public_host: turn.example.org
tls: {certificate: /etc/icebox/tls/fullchain.pem, key: /etc/icebox/tls/privkey.pem}
turn:
  realm: example.org
  listen: [{address: ":3478"}, {address: ":5349", transports: [tls, dtls]}]
`

const goodSite = `
map $http_upgrade $c { default upgrade; '' ''; }
upstream icebox { server 127.0.0.1:8080; keepalive 16; }
server {
	location / {
		proxy_pass http://icebox;
		proxy_http_version 1.1;
		proxy_set_header Host $http_host;
		proxy_set_header Upgrade $http_upgrade;
		proxy_set_header Connection $c;
		proxy_set_header X-Forwarded-For $remote_addr;
	}
}`

const openFirewall = `table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
		ct state established,related accept
		tcp dport { 22, 80, 443, 3478, 5349 } accept
		udp dport { 3478, 5349 } accept
		udp dport 49152-65535 accept
	}
}
`

func newSetUp(t *testing.T) *setUp {
	own := netip.MustParseAddr("198.51.101.7")
	s := &setUp{t: t, text: healthy, files: map[string]string{
		"/etc/passwd":                                "root:x:0:0::/root:/bin/sh\nicebox:x:" + fmt.Sprint(os.Getuid()) + ":" + fmt.Sprint(os.Getgid()) + "::/:/usr/sbin/nologin\n",
		"/etc/nginx/sites-enabled/icebox":            goodSite,
		"/proc/net/tcp":                              "  sl  local_address rem_address   st\n",
		"/proc/net/udp":                              "  sl  local_address rem_address   st\n",
		"/proc/sys/net/core/rmem_max":                "8388608\n",
		"/proc/sys/net/core/wmem_max":                "8388608\n",
		"/proc/sys/net/netfilter/nf_conntrack_max":   "262144\n",
		"/proc/sys/net/netfilter/nf_conntrack_count": "100\n",
		"/proc/812/comm":                             "icebox\n",
		"/proc/812/limits":                           "Limit                     Soft Limit           Hard Limit           Units\nMax open files            262144               262144               files\n",
		"/etc/icebox/tls/privkey.pem":                "",
		"/etc/icebox/tls/fullchain.pem":              "",
	}}
	s.certificate("turn.example.org", now.AddDate(0, 2, 0))
	s.system = System{
		Now:          func() time.Time { return now },
		Synchronized: func() (bool, error) { return true, nil },
		Addresses:    []netip.Addr{own, netip.MustParseAddr("127.0.0.1")},
		Lookup:       func(context.Context, string) ([]netip.Addr, error) { return []netip.Addr{own}, nil },
		Run:          func(context.Context, string, ...string) (string, error) { return openFirewall, nil },
		Status:       func(context.Context) (admin.Status, error) { return admin.Status{Ready: true}, nil },
		Relay:        func(context.Context, Target) (string, error) { return "example.org", nil },
	}
	s.target = []Target{{config.UDP, netip.AddrPortFrom(own, 3478), netip.AddrPortFrom(own, 3478)}}
	return s
}

// certificate makes a certificate and its key.
func (s *setUp) certificate(name string, until time.Time) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: now.AddDate(-1, 0, 0), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		s.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	s.files["/etc/icebox/tls/fullchain.pem"] = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	s.files["/etc/icebox/tls/privkey.pem"] = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}

// examine writes the host's files and returns the doctor's findings.
func (s *setUp) examine() []Finding {
	s.t.Helper()
	s.system.Root = s.t.TempDir()
	for name, text := range s.files {
		path := filepath.Join(s.system.Root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			s.t.Fatal(err)
		}
		if target, isLink := strings.CutPrefix(text, "-> "); isLink {
			if err := os.Symlink(target, path); err != nil {
				s.t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			s.t.Fatal(err)
		}
	}
	cfg, err := config.Load(config.Source{Path: "/etc/icebox/icebox.yaml", ReadFile: func(name string) ([]byte, os.FileMode, error) {
		if name == "/etc/icebox/icebox.yaml" {
			return []byte(s.text), 0o640, nil
		}
		return []byte(s.files[name]), 0o640, nil
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	return Examine(context.Background(), s.system, Patient{Config: cfg, Targets: s.target, Relays: s.relays})
}

func TestHealthyHost(t *testing.T) {
	for _, f := range newSetUp(t).examine() {
		if f.Level != OK {
			t.Errorf("%+v", f)
		}
	}
}

// TestBrokenSetUps: each broken set-up leads to one problem, with a way to fix it.
func TestBrokenSetUps(t *testing.T) {
	for name, test := range map[string]struct {
		breakIt func(*setUp)
		check   string
		level   Level
		text    string
	}{
		"the daemon is down": {func(s *setUp) {
			s.system.Status = func(context.Context) (admin.Status, error) { return admin.Status{}, admin.ErrNotRunning }
		}, "daemon", Problem, "does not answer: icebox is not running"},
		"coturn has the port": {func(s *setUp) {
			s.system.Status = func(context.Context) (admin.Status, error) { return admin.Status{}, admin.ErrNotRunning }
			s.files["/proc/net/udp"] += "  12: 0765330A:0D96 00000000:0000 07 00000000:00000000 00:00000000 00000000   107        0 4711 2 0 0\n"
			s.files["/proc/900/comm"] = "turnserver\n"
			s.files["/proc/900/fd/5"] = "-> socket:[4711]"
		}, "ports", Problem, "udp port 3478 is in use by turnserver (process 900)"},
		"1:1 NAT without external_ip": {func(s *setUp) {
			s.system.Addresses = []netip.Addr{netip.MustParseAddr("10.0.0.5")}
			s.text = strings.Replace(s.text, "public_host: turn.example.org\n", "", 1)
		}, "external_ip", Problem, "only private addresses (10.0.0.5)"},
		"external_ip of another interface": {func(s *setUp) {
			s.text += "external_ip: [{public: 198.51.101.7, private: 10.9.9.9}]\n"
		}, "external_ip", Problem, "10.9.9.9 is not an address of this host"},
		"nothing better to relay from": {func(s *setUp) {
			s.relays = Relays{LastResort: "no interface has a default route", Fix: "add a default route"}
		}, "relay_addresses", Warning, "no interface has a default route"},
		"relay_addresses of another host": {func(s *setUp) {
			s.relays = Relays{Err: errors.New("turn.relay_addresses[0]: 10.9.9.9 is not an address of this host")}
		}, "relay_addresses", Problem, "turn.relay_addresses[0]: 10.9.9.9"},
		"the name resolves to a CDN": {func(s *setUp) {
			s.system.Lookup = func(context.Context, string) ([]netip.Addr, error) {
				return []netip.Addr{netip.MustParseAddr("104.16.0.1")}, nil
			}
		}, "public_host", Problem, "turn.example.org resolves to 104.16.0.1"},
		"the name does not exist": {func(s *setUp) {
			s.system.Lookup = func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no such host") }
		}, "public_host", Problem, "has no address"},
		"a small relay range": {func(s *setUp) { s.text += "  relay_ports: 50000-50009\n" }, "relay_ports", Warning, "has 10 ports"},
		"the firewall drops the relay range": {func(s *setUp) {
			s.system.Run = func(context.Context, string, ...string) (string, error) {
				return strings.Replace(openFirewall, "49152-65535", "49152-50000", 1), nil
			}
		}, "firewall", Problem, "drops UDP to the relay range 49152-65535"},
		"the firewall drops TURN over TCP": {func(s *setUp) {
			s.system.Run = func(context.Context, string, ...string) (string, error) {
				return strings.Replace(openFirewall, "443, 3478, 5349", "443, 5349", 1), nil
			}
		}, "firewall", Problem, "drops packets of clients to tcp port 3478"},
		"the certificate has expired":         {func(s *setUp) { s.certificate("turn.example.org", now.AddDate(0, 0, -1)) }, "certificate", Problem, "expired on 2026-04-30"},
		"the certificate is not renewed":      {func(s *setUp) { s.certificate("turn.example.org", now.AddDate(0, 0, 5)) }, "certificate", Warning, "expires on 2026-05-06"},
		"the certificate is for another name": {func(s *setUp) { s.certificate("www.example.org", now.AddDate(0, 2, 0)) }, "certificate", Problem, "is for www.example.org, but clients come to turn.example.org"},
		"tls without a listener": {func(s *setUp) {
			s.text = strings.Replace(s.text, `, {address: ":5349", transports: [tls, dtls]}`, "", 1)
		}, "certificate", Problem, "no listener of turn.listen has tls"},
		"only root may read the key": {func(s *setUp) {
			s.files["/etc/passwd"] = "icebox:x:4242:4242::/:/usr/sbin/nologin\n"
		}, "key", Problem, "the user icebox may not read the key"},
		"keys of another realm": {func(s *setUp) {
			s.text = strings.Replace(s.text, "realm: example.org", "users: [{name: bob, key: 00112233445566778899aabbccddeeff}]", 1)
			s.system.Relay = func(context.Context, Target) (string, error) { return "icebox", nil }
		}, "realm", Warning, "1 of turn.users have a key"},
		"the clock is not synchronized": {func(s *setUp) { s.system.Synchronized = func() (bool, error) { return false, nil } }, "clock", Warning, "the clock is not synchronized"},
		"few file descriptors": {func(s *setUp) {
			s.files["/proc/812/limits"] = "Max open files            1024                 262144               files\n"
		}, "descriptors", Problem, "may open 1024 files"},
		"conntrack is full": {func(s *setUp) {
			s.files["/proc/sys/net/netfilter/nf_conntrack_count"] = "250000\n"
		}, "conntrack", Problem, "holds 250000 of 262144 flows"},
		"small UDP buffers": {func(s *setUp) { s.files["/proc/sys/net/core/rmem_max"] = "212992\n" }, "buffers", Warning, "net.core.rmem_max is 212992 bytes"},
		"Nginx without the upgrade": {func(s *setUp) {
			s.files["/etc/nginx/sites-enabled/icebox"] = "server { location / { proxy_pass http://127.0.0.1:8080; proxy_set_header Host $host; } }"
		}, "nginx", Problem, "does not forward WebSockets, because it lacks proxy_http_version 1.1; proxy_set_header Connection"},
		"a container without external_ip": {func(s *setUp) {
			s.files["/.dockerenv"] = ""
			s.system.Addresses = []netip.Addr{netip.MustParseAddr("172.17.0.2")}
			s.text = strings.Replace(s.text, "public_host: turn.example.org\n", "", 1)
		}, "docker", Problem, "the container has its own network"},
		"a container that publishes too much": {func(s *setUp) {
			s.files["/.dockerenv"] = ""
			s.system.Addresses = []netip.Addr{netip.MustParseAddr("172.17.0.2")}
			s.text += "external_ip: [{public: 198.51.101.7}]\n"
		}, "docker", Problem, "publish all 16384 ports"},
		"the relay refuses its own credentials": {func(s *setUp) {
			s.system.Relay = func(context.Context, Target) (string, error) {
				return "example.org", &RefusedError{wire.Allocate, wire.Unauthorized}
			}
		}, "relay", Problem, "TURN over udp at 198.51.101.7:3478: allocate is refused with 401"},
		"the daemon has another realm": {func(s *setUp) {
			s.system.Relay = func(context.Context, Target) (string, error) { return "icebox", nil }
		}, "realm", Problem, "the daemon runs with the realm icebox, but the configuration has example.org"},
		"the public address is not reached": {func(s *setUp) {
			s.target[0].Local = netip.MustParseAddrPort("10.0.0.5:3478")
			s.system.Relay = func(_ context.Context, t Target) (string, error) {
				if t.Public == s.target[0].Public {
					return "", errors.New("there was no response")
				}
				return "example.org", nil
			}
		}, "relay", Warning, "relays at 10.0.0.5:3478, but not at its public address"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSetUp(t)
			test.breakIt(s)
			findings := s.examine()
			at := slices.IndexFunc(findings, func(f Finding) bool {
				return f.Check == test.check && f.Level == test.level && strings.Contains(f.Text, test.text)
			})
			if at < 0 {
				t.Fatalf("no %s of %s with %q in %+v", test.level, test.check, test.text, findings)
			}
			if findings[at].Fix == "" {
				t.Errorf("the finding has no fix: %+v", findings[at])
			}
			for i, f := range findings {
				if i != at && f.Level == Problem && f.Check != "daemon" && !strings.Contains(test.text, "only private") && test.check != "docker" {
					t.Errorf("also: %+v", f)
				}
			}
		})
	}
}
