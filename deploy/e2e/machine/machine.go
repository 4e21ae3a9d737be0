// Package machine boots a small Debian machine: this host's file system under an in-memory overlay,
// its own namespaces, and the real systemd as PID 1. A unit runs there as it will on a server,
// including its sandbox.
//
// Tests that use it call sandbox.Run in TestMain.
package machine

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"icebox/deploy/e2e/sandbox"
)

//go:embed boot.sh
var bootScript []byte

// Address is the machine's own address, on an interface that is connected to nothing.
const Address = "45.33.3.2"

const (
	bootWithin = 60 * time.Second
	runWithin  = 3 * time.Minute // enough for a package installation while other tests use the host
)

// Machine is a machine that has booted.
type Machine struct {
	t    testing.TB
	init *exec.Cmd
	log  bytes.Buffer  // PID 1's output; complete once done is closed
	done chan struct{} // closed when PID 1 has ended
}

// Boot boots a machine. It provides the files in /mnt/install. One of them, install.sh, runs in the
// machine's file system before systemd starts.
func Boot(t testing.TB, files map[string][]byte) *Machine {
	t.Helper()
	return BootFrom(t, "/", files)
}

// BootFrom is like Boot, but uses the file system at root instead of this host's. It does not
// change anything there.
func BootFrom(t testing.TB, root string, files map[string][]byte) *Machine {
	t.Helper()
	own, err := os.MkdirTemp("", "machine") // in /run, because an overlay's upper layer can't be on another overlay
	if err != nil {
		t.Fatal(err)
	}
	install := filepath.Join(own, "install")
	if err := os.Mkdir(install, 0o755); err != nil {
		t.Fatal(err)
	}
	files = withBoot(files)
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(install, name), text, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	group := makeGroup(t)
	m := &Machine{t: t, done: make(chan struct{}), init: exec.Command("sh", filepath.Join(install, "boot.sh"), own, Address+"/24", root)}
	m.init.Stdout, m.init.Stderr = &m.log, &m.log
	m.init.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		UseCgroupFD: true, CgroupFD: int(group.Fd()),
	}
	if err := m.init.Start(); err != nil {
		t.Fatalf("start a machine: %v", err)
	}
	go func() {
		defer close(m.done)
		_ = m.init.Wait() // PID 1 is killed at the end; if it ends early, await reports that
	}()
	t.Cleanup(m.off)
	m.await()
	return m
}

func withBoot(files map[string][]byte) map[string][]byte {
	all := map[string][]byte{"boot.sh": bootScript}
	for name, text := range files {
		all[name] = text
	}
	return all
}

// makeGroup creates a control group for the machine and removes it when the test ends.
func makeGroup(t testing.TB) *os.File {
	t.Helper()
	path := filepath.Join(groupRoot(t), fmt.Sprintf("icebox-e2e-%d", time.Now().UnixNano()))
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatalf("make a control group: %v", err)
	}
	t.Cleanup(func() { removeGroup(t, path) })
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// groupRoot returns the mount point of this host's cgroup2 hierarchy, which systemd needs.
func groupRoot(t testing.TB) string {
	t.Helper()
	f, err := os.Open("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	root := ""
	for s := bufio.NewScanner(f); s.Scan(); {
		if fields := strings.Fields(s.Text()); len(fields) > 2 && fields[2] == "cgroup2" {
			root = fields[1] // use the last one, which may hide the others
		}
	}
	if root == "" {
		t.Fatal("this host has no cgroup2 hierarchy mounted, which systemd needs")
	}
	return root
}

// removeGroup removes a control group and the groups below it. They become empty as their processes
// are reaped, so it retries for 10 s.
func removeGroup(t testing.TB, path string) {
	end := time.Now().Add(10 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var groups []string
		err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				groups = append(groups, p)
			}
			return err
		})
		slices.Reverse(groups)
		for _, g := range groups {
			err = errors.Join(err, os.Remove(g))
		}
		if _, stat := os.Stat(path); errors.Is(stat, fs.ErrNotExist) {
			return
		}
		if time.Now().After(end) {
			t.Errorf("the control group %s could not be removed: %v", path, err)
			return
		}
		<-tick.C
	}
}

// await waits until systemd has reached basic.target.
func (m *Machine) await() {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), bootWithin)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		out, err := m.command(ctx, "systemctl", "is-active", "basic.target").CombinedOutput()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-m.done:
			m.t.Fatalf("the machine did not boot:\n%s", m.log.String())
		case <-ctx.Done():
			m.t.Fatalf("the machine has not booted after %s: %s", bootWithin, out)
		}
	}
}

// off kills PID 1, and thereby every process in its PID namespace.
func (m *Machine) off() {
	_ = m.init.Process.Kill() // fails only if the process has already ended
	<-m.done
	if m.t.Failed() {
		m.t.Logf("the machine's console:\n%s", m.log.String())
	}
}

func (m *Machine) command(ctx context.Context, argv ...string) *exec.Cmd {
	pid := strconv.Itoa(m.init.Process.Pid)
	c := exec.CommandContext(ctx, "nsenter", append([]string{"--target", pid, "--all", "--"}, argv...)...)
	// The environment of an administrator's shell, without the test's variables: icebox takes every
	// ICEBOX_ variable for a setting.
	c.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive"}
	return c
}

// Run runs a program on the machine as root and returns its output. The program must succeed.
func (m *Machine) Run(argv ...string) string {
	m.t.Helper()
	out, err := m.Try(argv...)
	if err != nil {
		m.t.Fatalf("%s: %v: %s", strings.Join(argv, " "), err, out)
	}
	return out
}

// Try is like Run for a program that may fail.
func (m *Machine) Try(argv ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), runWithin)
	defer cancel()
	out, err := m.command(ctx, argv...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// Dial connects from inside the machine.
func (m *Machine) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	var c net.Conn
	err := sandbox.InNetwork(fmt.Sprintf("/proc/%d/ns/net", m.init.Process.Pid), func() error {
		var err error
		c, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return c, err
}
