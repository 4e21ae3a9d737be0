package server

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"icebox/deploy/e2e/pki"
)

// Pebble is Let's Encrypt's test authority, in the version that go.mod pins. It resolves every name
// to 127.0.0.1.
type Pebble struct {
	*Process
	Directory string // URL
	Roots     string // URL of its root certificate, which is new at each start
	HTTP, TLS int    // ports on which it expects the responses to HTTP-01 and TLS-ALPN-01
}

// StartPebble starts an authority whose certificates are valid for validity. Its own server uses
// the certificate in files.
func StartPebble(t testing.TB, files pki.Files, validity time.Duration) *Pebble {
	t.Helper()
	dir, dns, acme, roots := tools(t), FreePort(t), FreePort(t), FreePort(t)
	names := start(t, "challtestsrv", Here.Command(context.Background(), filepath.Join(dir, "pebble-challtestsrv"),
		"-dnsserver", local(dns), "-management", local(FreePort(t)), "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "",
		"-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", ""))
	names.await(listening(Here, local(dns)))

	p := &Pebble{Directory: "https://" + local(acme) + "/dir", Roots: "https://" + local(roots) + "/roots/0", HTTP: FreePort(t), TLS: FreePort(t)}
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": local(acme), "managementListenAddress": local(roots), "certificate": files.Cert, "privateKey": files.Key,
		"httpPort": p.HTTP, "tlsPort": p.TLS, "keyAlgorithm": "ecdsa", "retryAfter": map[string]int{"authz": 1, "order": 1},
		"profiles": map[string]any{"default": map[string]any{"description": "of a test", "validityPeriod": int(validity.Seconds())}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, filepath.Join(t.TempDir(), "pebble.json"), string(config))
	c := Here.Command(context.Background(), filepath.Join(dir, "pebble"), "-config", file, "-strict", "-dnsserver", local(dns))
	p.Process = start(t, "pebble", c, "PEBBLE_VA_NOSLEEP=1")
	p.await(listening(Here, local(acme)))
	return p
}

func local(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

// tools returns the directory with the programs that go.mod lists as tools.
func tools(t testing.TB) string {
	t.Helper()
	dir, err := buildTools()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var buildTools = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(Root(), "bin", "e2e")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-o", dir, "tool")
	build.Dir = filepath.Join(Root(), "deploy", "e2e")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the tools: %w: %s", err, out)
	}
	return dir, nil
})
