// Package sandbox runs a test binary in namespaces of its own, where it may do as root what it likes: nothing of it is seen
// outside, and nothing is left when it ends.
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

// insideVar tells the copy of a test binary that it already runs in the private namespaces.
const insideVar = "E2E_SANDBOX"

// The first thread is kept for the main goroutine: a goroutine that enters another namespace may not spoil it, since it
// can't end before the process does, and a child must not lose the thread that Pdeathsig watches.
func init() { runtime.LockOSThread() }

// Run is the body of a TestMain. It starts the test binary again in mount, network and PID namespaces of its own,
// with an empty /run that holds the temporary files too, and returns that run's exit code. Every network namespace, veth,
// mount, process and file a test makes lives in there: when the run ends, however it ends, the kernel takes all of it away,
// and two runs at once can't meet.
func Run(m *testing.M) int {
	if os.Getenv(insideVar) != "" {
		if err := enter(); err != nil {
			fmt.Fprintln(os.Stderr, "sandbox: private namespaces:", err)
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

// enter finishes what unshare began: an empty /run (where `ip netns` keeps its names) that also holds the temporary files.
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

// Overlay makes directories writable: what is changed there from now on stays in memory, and nobody outside sees it.
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
