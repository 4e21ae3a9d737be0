// Package server starts the programs that tests talk to: icebox itself, what it replaces (Debian's coturn, a classic
// signalling server on Node) and Debian's Nginx in front of it. Each runs as a child that dies with the test, keeps the
// end of its log for a failure, and is ready when its constructor returns.
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

// Host is a place to run a server and to reach what listens there on loopback.
type Host interface {
	Command(ctx context.Context, argv ...string) *exec.Cmd
	Dial(ctx context.Context, network, address string) (net.Conn, error)
}

// Here is this machine.
var Here Host = here{}

type here struct{}

func (here) Command(ctx context.Context, argv ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, argv[0], argv[1:]...)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // for a test binary that is killed
	return c
}

func (here) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

// readyWithin bounds how long a server may take to start, on a busy machine.
const readyWithin = 20 * time.Second

// Process is one running server.
type Process struct {
	t    testing.TB
	name string
	cmd  *exec.Cmd
	log  tail
	done chan struct{} // closed when the process has been waited for
	err  error         // how it ended; valid once done is closed
	told atomic.Bool   // it was told to end
}

// start runs a command as a server, with more in its environment, and stops it when the test ends.
func start(t testing.TB, name string, c *exec.Cmd, env ...string) *Process {
	t.Helper()
	p := &Process{t: t, name: name, cmd: c, done: make(chan struct{})}
	c.Env = append(Environment(), env...)
	c.Stdout, c.Stderr = &p.log, &p.log
	c.WaitDelay = 5 * time.Second
	started := make(chan error)
	go func() {
		defer close(p.done)
		runtime.LockOSThread() // Pdeathsig is about the thread that started the child
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
			t.Logf("the end of what %s said:\n%s", name, &p.log)
		}
	})
	return p
}

// Environment is this process's own without the variables that icebox would take for settings.
func Environment() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "ICEBOX_") && !strings.HasPrefix(e, "NOTIFY_SOCKET=") {
			env = append(env, e)
		}
	}
	return env
}

// Stop asks the server to end, and makes it end when it doesn't. It may be called more than once.
func (p *Process) Stop() {
	p.t.Helper()
	if p.told.Swap(true) {
		return
	}
	if p.over() {
		p.t.Errorf("%s ended on its own: %v", p.name, p.err)
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // one that has just ended is no failure
	select {
	case <-p.done:
	case <-time.After(15 * time.Second):
		p.t.Errorf("%s does not end on SIGTERM", p.name)
		p.Kill()
	}
}

// Kill ends the server without asking.
func (p *Process) Kill() {
	p.told.Store(true)
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Log is the end of what the server has printed.
func (p *Process) Log() string { return p.log.String() }

// PID is the server's process, or that of the program that runs it in another namespace.
func (p *Process) PID() int { return p.cmd.Process.Pid }

func (p *Process) over() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// await asks until ready says nil, the server ends, or time is up.
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

// listening is ready for await: something accepts TCP there.
func listening(h Host, address string) func(context.Context) error {
	return func(ctx context.Context) error {
		c, err := h.Dial(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return c.Close()
	}
}

// portsGiven are the ports that FreePort has returned to the tests of this process.
var portsGiven sync.Map

// FreePort finds a port that is free for TCP and UDP on the loopback addresses, below the range the kernel gives out.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 20000 + rand.IntN(12000)
		if _, given := portsGiven.LoadOrStore(port, true); given {
			continue // its holder may not listen yet
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

// tail keeps the end of what is written to it.
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

// write is a file of a server's configuration.
func write(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(fmt.Errorf("write a configuration: %w", err))
	}
	return path
}
