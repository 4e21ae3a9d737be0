// Package server starts the programs that tests talk to: icebox itself, the servers that it
// replaces (Debian's coturn and a classic signalling server on Node.js), proxies in front of it
// (Debian's Nginx and HAProxy), and a certificate authority. Each is a child process that ends with
// the test and is ready when its constructor returns. If the test fails, the end of the program's
// output is logged.
package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Host is a place where a server can run and whose loopback listeners can be reached.
type Host interface {
	Command(ctx context.Context, argv ...string) *exec.Cmd
	Dial(ctx context.Context, network, address string) (net.Conn, error)
}

// Here is this host.
var Here Host = here{}

type here struct{}

func (here) Command(ctx context.Context, argv ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, argv[0], argv[1:]...)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // in case the test binary is killed
	return c
}

func (here) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

// readyWithin limits how long a server may take to start, on a busy host.
const readyWithin = 20 * time.Second

// Process is one running server.
type Process struct {
	t    testing.TB
	name string
	cmd  *exec.Cmd
	log  tail
	done chan struct{} // closed when the process has been waited for
	err  error         // result of Wait; valid once done is closed
	told atomic.Bool   // whether the test has asked it to end
}

// start runs c as a server, with env added to its environment, and stops it when the test ends.
func start(t testing.TB, name string, c *exec.Cmd, env ...string) *Process {
	t.Helper()
	p := &Process{t: t, name: name, cmd: c, done: make(chan struct{})}
	c.Env = append(Environment(), env...)
	c.Stdout, c.Stderr = &p.log, &p.log
	c.WaitDelay = 5 * time.Second
	started := make(chan error)
	go func() {
		defer close(p.done)
		runtime.LockOSThread() // Pdeathsig fires when the thread that started the child ends
		defer runtime.UnlockOSThread()
		err := c.Start()
		started <- err
		if err == nil {
			p.err = c.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	t.Cleanup(func() {
		p.Stop()
		if t.Failed() {
			t.Logf("the output of %s ends with:\n%s", name, &p.log)
		}
	})
	return p
}

// Environment returns this process's environment without the variables that would change icebox's
// behaviour.
func Environment() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "ICEBOX_") && !strings.HasPrefix(e, "NOTIFY_SOCKET=") {
			env = append(env, e)
		}
	}
	return env
}

// Stop asks the server to end, and kills it after 15 s. It may be called more than once.
func (p *Process) Stop() {
	p.t.Helper()
	if p.told.Swap(true) {
		return
	}
	if p.over() {
		p.t.Errorf("%s ended on its own: %v", p.name, p.err)
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails only if the process has just ended
	select {
	case <-p.done:
	case <-time.After(15 * time.Second):
		p.t.Errorf("%s did not end within 15 s after SIGTERM", p.name)
		p.Kill()
	}
}

// Kill kills the server.
func (p *Process) Kill() {
	p.told.Store(true)
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Log returns the last 16 KiB that the server has printed.
func (p *Process) Log() string { return p.log.String() }

// PID returns the process ID of the server, or of the program that runs it in another namespace.
func (p *Process) PID() int { return p.cmd.Process.Pid }

func (p *Process) over() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// await calls ready until it returns nil, the server ends, or readyWithin has passed.
func (p *Process) await(ready func(context.Context) error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), readyWithin)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	err := ready(ctx)
	for err != nil {
		select {
		case <-p.done:
			p.t.Fatalf("%s ended before it was ready: %v:\n%s", p.name, p.err, &p.log)
		case <-ctx.Done():
			p.t.Fatalf("%s is not ready after %s: %v:\n%s", p.name, readyWithin, err, &p.log)
		case <-tick.C:
			err = ready(ctx)
		}
	}
}

// listening is a check for await: address must accept a TCP connection.
func listening(h Host, address string) func(context.Context) error {
	return func(ctx context.Context) error {
		c, err := h.Dial(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return c.Close()
	}
}

// portsGiven are the ports that FreePort has returned in this process.
var portsGiven sync.Map

// FreePort returns a port that is free for TCP and UDP on the loopback addresses. The port is below
// the range from which the kernel chooses.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 20000 + rand.IntN(12000)
		if _, given := portsGiven.LoadOrStore(port, true); given {
			continue // the test that got it may not listen yet
		}
		if free("127.0.0.1", port) && free("127.0.0.9", port) && free("::1", port) {
			return port
		}
	}
	t.Fatal("no free port found")
	return 0
}

func free(host string, port int) bool {
	address := net.JoinHostPort(host, strconv.Itoa(port))
	l, err := net.Listen("tcp", address)
	if err != nil {
		return errors.Is(err, syscall.EADDRNOTAVAIL)
	}
	defer l.Close()
	c, err := net.ListenPacket("udp", address)
	if err != nil {
		return false
	}
	return c.Close() == nil
}

// tail keeps the last tailSize bytes that are written to it.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const tailSize = 16 << 10

func (w *tail) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.buf.Write(p)
	if extra := w.buf.Len() - tailSize; extra > 0 {
		w.buf.Next(extra)
	}
	return n, err
}

func (w *tail) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

// write writes a server's configuration file and returns its path.
func write(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(fmt.Errorf("write a configuration: %w", err))
	}
	return path
}
