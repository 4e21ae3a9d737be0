package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// withSecrets returns a configuration with every kind of secret, in place and in
// files. Each contains the word confidential.
func withSecrets(t *testing.T) *Config {
	t.Helper()
	files := map[string][]byte{
		"dir/icebox.yaml": []byte(`
turn:
  users:
    - {name: alice, password: confidential one}
    - {name: bob, file: bob.txt}
    - {name: carol, key: 636f6e666964656e7469616c54574f21}
credentials:
  secrets:
    - {secret: confidential three}
    - {file: /secret}
    - {secret: confidential, allow_short: true}
signal:
  access: key
  keys:
    - {name: web, key: confidential five}
    - {name: app, file: app.txt}
`),
		"dir/bob.txt": []byte("confidential four\n"),
		"/secret":     []byte("confidential six"),
		"dir/app.txt": []byte("confidential seven\n"),
	}
	c, err := Load(Source{Path: "dir/icebox.yaml", ReadFile: inMemory(files)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSecretsAreRead(t *testing.T) {
	c := withSecrets(t)
	got := []string{
		c.TURN.Users[1].Password.Reveal(), string(c.TURN.Users[2].Key.Bytes()),
		c.Credentials.Secrets[1].Secret.Reveal(), c.Signal.Keys[1].Key.Reveal(),
	}
	want := []string{"confidential four", "confidentialTWO!", "confidential six", "confidential seven"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSecretsAreHidden(t *testing.T) {
	c := withSecrets(t)
	marshalled, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("config", "config", c, "secret", c.Credentials.Secrets[0].Secret, "user", c.TURN.Users[0], "key", c.TURN.Users[2].Key)
	}
	for name, text := range map[string]string{
		"Effective": c.Effective(), "yaml": string(marshalled), "json": string(asJSON), "slog": log.String(),
		"fmt": fmt.Sprintf("%v %+v %#v %s %x", *c, *c, *c, c.TURN.Users, c.TURN.Users[2].Key),
	} {
		if strings.Contains(text, "confidential") || strings.Contains(text, "636f6e66") {
			t.Errorf("%s shows a secret:\n%s", name, text)
		}
		if !strings.Contains(text, "hidden") {
			t.Errorf("%s shows no placeholder for a secret:\n%s", name, text)
		}
	}
}

func TestEffective(t *testing.T) {
	got := withSecrets(t).Effective()
	for _, want := range []string{
		"  - {name: alice, password: <hidden>}",
		"  - {name: bob, file: dir/bob.txt}",
		"  - {name: carol, key: <hidden>}",
		"  - {secret: <hidden>}",
		"  - {file: /secret}",
		"  - {name: app, file: dir/app.txt}",
		"max_session: 24h\n",
		"relay_ports: 49152-65535\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestEffectiveLoads(t *testing.T) {
	for name, text := range map[string]string{
		"defaults":    "",
		"self-signed": "tls: self-signed\npublic_host: Turn.Example.ORG.\n",
		"records": `
external_ip: [{public: 203.0.113.7}, {public: "2001:db8::7", private: "fd00::7"}]
turn:
  realm: "on"
  listen: [{address: "[::1]:3478", transports: [udp]}, {address: 0.0.0.0:3479}]
  relay_ports: 50000-50000
  relay_addresses: [10.0.0.5]
  peers: [{allow: 10.0.0.0/8}, {deny: "2001:db8::/32", ports: 1-1023}, {deny: 192.0.2.1, ports: 80}]
  max_session: 1h30m
credentials: {ttl: 90s}
signal: {limits: {max_message: 5000}}
http:
  listen: [{address: 127.0.0.1:8080, stun: true, classic: {greeting: "Hello: world", unknown_command: "null"}}]
  origins: [{origin: https://app.example.org}, {origin: "null"}]
shutdown: {drain: 0s}
`,
	} {
		t.Run(name, func(t *testing.T) {
			first := load(t, text, Source{})
			second := load(t, first.Effective(), Source{})
			if diff := cmp.Diff(first, second, sameConfig); diff != "" {
				t.Errorf("not the same after printing:\n%s\n%s", diff, first.Effective())
			}
		})
	}
}
