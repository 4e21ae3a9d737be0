// Package sandbox runs a test binary in private namespaces, where it may do anything that root may
// do. Nothing it does is visible outside, and nothing is left when it ends.
package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// insideVar is set in the environment of the copy of the test binary that runs in the private
// namespaces.
const insideVar = "E2E_SANDBOX"

// The main goroutine keeps the first thread, for two reasons. A goroutine that enters another
// namespace must not change this thread, because it only ends with the process. And a child must
// not lose the thread that started it, because Pdeathsig watches that thread.
func init() { runtime.LockOSThread() }

// Run is the body of a TestMain. It starts the test binary again in new mount, network and PID
// namespaces and returns that run's exit code. An empty /run, which also holds the temporary files,
// hides the host's.
//
// All network namespaces, interfaces, mounts, processes and files that a test creates are inside.
// However the run ends, the kernel removes them, and two concurrent runs can't affect each other.
func Run(m *testing.M) int {
	if os.Getenv(insideVar) != "" {
		if err := enter(); err != nil {
			fmt.Fprintln(os.Stderr, "sandbox: set up private namespaces:", err)
			return 1
		}
		return m.Run()
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "sandbox: private namespaces need root; run `make test` as root")
		return 1
	}
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "sandbox: find this binary:", err)
		return 1
	}
	args := []string{"--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private", self}
	c := exec.Command("unshare", append(args, os.Args[1:]...)...)
	c.Env = append(os.Environ(), insideVar+"=1")
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = c.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return exit.ExitCode()
	default:
		fmt.Fprintln(os.Stderr, "sandbox: run in private namespaces:", err)
		return 1
	}
}

// enter completes what unshare started: it mounts an empty /run, where `ip netns` keeps its names
// and the temporary files go.
func enter() error {
	if err := syscall.Mount("sandbox", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount an empty /run: %w", err)
	}
	const tmp = "/run/tmp"
	if err := os.Mkdir(tmp, 0o700); err != nil {
		return err
	}
	if err := os.Chmod(tmp, 0o777|os.ModeSticky); err != nil {
		return err
	}
	return os.Setenv("TMPDIR", tmp)
}

// Overlay makes directories writable. Changes there stay in memory and are not visible outside the
// sandbox.
func Overlay(t testing.TB, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		layers, err := os.MkdirTemp("", "overlay")
		if err != nil {
			t.Fatal(err)
		}
		upper, work := filepath.Join(layers, "upper"), filepath.Join(layers, "work")
		for _, d := range []string{upper, work} {
			if err := os.Mkdir(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", dir, upper, work)
		if err := syscall.Mount("overlay", dir, "overlay", 0, options); err != nil {
			t.Fatalf("make %s writable in memory: %v", dir, err)
		}
	}
}
