package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for a condition.
const patience = 20 * time.Second

// binary is the path of the icebox binary, built with buildFlags.
var (
	binary     string
	buildFlags []string
)

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "icebox-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary = filepath.Join(dir, "icebox")
	build := append([]string{"build", "-o", binary}, buildFlags...)
	if out, err := exec.Command("go", append(build, ".")...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build icebox: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// ephemeral is a configuration without fixed ports.
const ephemeral = `
turn:
  listen: [{address: "127.0.0.1:0"}]
http:
  listen: [{address: "127.0.0.1:0"}]
admin: {address: "127.0.0.1:0"}
`

// home is a configuration file and a state directory.
type home struct{ config, state string }

func newHome(t *testing.T, text string) home {
	t.Helper()
	h := home{filepath.Join(t.TempDir(), "icebox.yaml"), filepath.Join(t.TempDir(), "state")}
	if err := os.WriteFile(h.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h home) args(command string, more ...string) []string {
	return append([]string{command, "--config", h.config, "--state-dir", h.state}, more...)
}

// raceFree is an environment in which a binary built with -race does not wait for a second before it exits.
var raceFree = []string{"GORACE=atexit_sleep_ms=0"}

// result is the exit status and the output of a process.
type result struct {
	status         int
	stdout, stderr string
}

// icebox runs the binary and waits until it has ended.
func icebox(t *testing.T, env []string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = append(slices.Clone(raceFree), env...), &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// process is a running daemon.
type process struct {
	t       *testing.T
	cmd     *exec.Cmd
	manager *net.UnixConn // the service manager's socket
	out     output        // stdout and stderr
	done    chan struct{}
}

// output is the output of a process. It can be read while the process writes.
type output struct {
	mu    sync.Mutex
	text  bytes.Buffer
	grown chan struct{} // closed by the next write
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.grown != nil {
		close(o.grown)
		o.grown = nil
	}
	return o.text.Write(p)
}

// next returns the text, and a channel that is closed when there is more.
func (o *output) next() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.grown == nil {
		o.grown = make(chan struct{})
	}
	return o.text.String(), o.grown
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// serve starts the daemon and waits until it is ready.
func serve(t *testing.T, h home, more ...string) *process {
	t.Helper()
	return serveWith(t, h, func(*exec.Cmd) {}, more...)
}

// serveWith is serve with a process that prepare may change.
func serveWith(t *testing.T, h home, prepare func(*exec.Cmd), more ...string) *process {
	t.Helper()
	address := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"}
	manager, err := net.ListenUnixgram("unixgram", address)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(binary, h.args("serve", more...)...), manager: manager, done: make(chan struct{})}
	p.cmd.Env = append(slices.Clone(raceFree), "NOTIFY_SOCKET="+address.Name)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	prepare(p.cmd)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
		_ = manager.Close()
		if t.Failed() {
			t.Logf("the daemon's output:\n%s", p.out.String())
		}
	})
	p.awaitNotify("READY=1")
	return p
}

// awaitNotify waits for the next notification to the service manager, which must be state.
func (p *process) awaitNotify(state string) {
	p.t.Helper()
	if got := p.nextNotification(); got != state {
		p.t.Fatalf("the service manager received %q, want %q; output:\n%s", got, state, p.out.String())
	}
}

// nextNotification waits for the next notification to the service manager and returns it.
func (p *process) nextNotification() string {
	p.t.Helper()
	buf := make([]byte, 256)
	_ = p.manager.SetReadDeadline(time.Now().Add(patience))
	n, err := p.manager.Read(buf)
	if err != nil {
		p.t.Fatalf("the service manager received nothing: %v; output:\n%s", err, p.out.String())
	}
	return string(buf[:n])
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// exit waits until the process has ended and returns its status.
func (p *process) exit() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("still running; output:\n%s", p.out.String())
	}
	return p.cmd.ProcessState.ExitCode()
}

// find waits until the output matches pattern, and returns the last group of it.
func (p *process) find(pattern string) string {
	p.t.Helper()
	re, deadline := regexp.MustCompile(pattern), time.After(patience)
	for {
		text, grown := p.out.next()
		if m := re.FindStringSubmatch(text); m != nil {
			return m[len(m)-1]
		}
		select {
		case <-grown:
		case <-deadline:
			p.t.Fatalf("no %s in\n%s", pattern, text)
		}
	}
}

func (p *process) admin() string { return p.find(`(http://\S+)/metrics`) }

func (p *process) pages() string { return p.find(`pages +(\S+?)/ `) }

func (p *process) turn(kind string) string {
	return p.find(`(?m) ` + strings.ReplaceAll(regexp.QuoteMeta(kind), "H", `(\S+?)`) + `$`)
}
