package netlab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
)

// insideVar tells the copy of a test binary that it already runs in the private namespaces.
const insideVar = "ICEBOX_E2E_INSIDE"

// The first thread is kept for the main goroutine: Lab.Do may not spoil it, since it can't end before the process does, and
// a child must not lose the thread that Pdeathsig watches.
func init() { runtime.LockOSThread() }

// Run is the body of a TestMain. It starts the test binary again in mount, network and PID namespaces of its own,
// with an empty /run, and returns that run's exit code. Every network namespace, veth, process and temporary file a
// test makes lives in there: when the run ends, however it ends, the kernel takes all of it away, and two runs at once
// can't meet.
func Run(m *testing.M) int {
	if os.Getenv(insideVar) != "" {
		if err := enter(); err != nil {
			fmt.Fprintln(os.Stderr, "netlab: private namespaces:", err)
			return 1
		}
		return m.Run()
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "netlab: network namespaces need root; run `make test` as root")
		return 1
	}
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "netlab: find this binary:", err)
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
		fmt.Fprintln(os.Stderr, "netlab: run in private namespaces:", err)
		return 1
	}
}

// enter finishes what unshare began: an empty /run (where `ip netns` keeps its names) that also holds the temporary files.
func enter() error {
	if err := syscall.Mount("netlab", "/run", "tmpfs", 0, "mode=755"); err != nil {
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
