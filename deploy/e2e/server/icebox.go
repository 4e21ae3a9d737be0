package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Icebox is a running daemon.
type Icebox struct {
	*Process
	Admin  string // host:port of the admin listener
	Config string // path of the configuration file
	http   *http.Client
}

// IceboxOptions are the settings that differ between tests.
type IceboxOptions struct {
	Host     Host   // nil: Here
	Config   string // YAML, without admin and state_dir
	Admin    string // host:port of the admin listener; empty: a free loopback port
	StateDir string // empty: a new directory
}

// StartIcebox starts the daemon and returns when it reports that it is ready.
func StartIcebox(t testing.TB, o IceboxOptions) *Icebox {
	t.Helper()
	if o.Host == nil {
		o.Host = Here
	}
	if o.Admin == "" {
		o.Admin = net.JoinHostPort("127.0.0.1", strconv.Itoa(FreePort(t)))
	}
	if o.StateDir == "" {
		o.StateDir = filepath.Join(t.TempDir(), "state")
	}
	text := fmt.Sprintf("%s\nstate_dir: %s\nadmin: {address: %q}\n", strings.TrimSpace(o.Config), o.StateDir, o.Admin)
	path := write(t, filepath.Join(t.TempDir(), "icebox.yaml"), text)
	i := &Icebox{Admin: o.Admin, Config: path, http: &http.Client{
		Timeout:   5 * time.Second,
		Transport: &http.Transport{DialContext: o.Host.Dial, DisableKeepAlives: true},
	}}
	i.Process = start(t, "icebox", o.Host.Command(context.Background(), Binary(t), "serve", "--config", path))
	i.await(i.ready)
	return i
}

func (i *Icebox) ready(ctx context.Context) error {
	_, err := i.get(ctx, "/readyz")
	return err
}

func (i *Icebox) get(ctx context.Context, path string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+i.Admin+path, nil)
	if err != nil {
		return "", err
	}
	reply, err := i.http.Do(r)
	if err != nil {
		return "", err
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err == nil && reply.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s returned %s: %s", path, reply.Status, body)
	}
	return string(body), err
}

// Metric returns the sum over the series of a metric that have all the labels. A label is written
// name="value".
func (i *Icebox) Metric(name string, labels ...string) float64 {
	i.t.Helper()
	text, err := i.get(context.Background(), "/metrics")
	if err != nil {
		i.t.Fatalf("read the daemon's metrics: %v", err)
	}
	sum, found := 0.0, false
	for s := bufio.NewScanner(strings.NewReader(text)); s.Scan(); {
		series, value, ok := cutLast(s.Text(), " ")
		base, set, _ := strings.Cut(series, "{")
		if !ok || base != name || !hasAll(set, labels) {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			i.t.Fatalf("the metric %s has the value %q", series, value)
		}
		sum, found = sum+v, true
	}
	if !found {
		i.t.Fatalf("the daemon has no metric %s with %v", name, labels)
	}
	return sum
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func hasAll(set string, labels []string) bool {
	for _, l := range labels {
		if !strings.Contains(set, l) {
			return false
		}
	}
	return true
}

// Root returns the path of the repository.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..")
}

// Binary returns the path of the daemon under test: $ICEBOX_BIN, or else one that `make build`
// builds.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("ICEBOX_BIN"); path != "" {
		return filepath.Abs(path)
	}
	build := exec.Command("make", "build")
	build.Dir = Root()
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the daemon: %w: %s", err, out)
	}
	return filepath.Join(Root(), "bin", "icebox"), nil
})
