package shipped

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"icebox/deploy/e2e/server"
)

// TestImage builds the image with Debian's buildah and runs it with Debian's podman, as
// docker-compose.yml would: read-only, without capabilities, on the host's network (here the
// sandbox's), and with its state in a volume.
func TestImage(t *testing.T) {
	loopback(t)
	unifiedGroups(t)
	dir, err := os.MkdirTemp("", "engine") // not t.TempDir: processes that podman leaves behind still write there until the sandbox ends
	if err != nil {
		t.Fatal(err)
	}
	e := containers{t: t, dir: dir}
	e.buildah("bud", "--format", "docker", "--isolation", "chroot", "-f", filepath.Join(server.Root(), "deploy", "Dockerfile"), "-t", "icebox", imageContext(t))
	t.Run("size", func(t *testing.T) { checkSize(t, e.podman("image", "inspect", "--format", "{{.Size}}", "icebox")) })
	e.run("first")
	e.podman("healthcheck", "run", "first")
	t.Run("user", func(t *testing.T) { checkUser(t, e.podman("inspect", "--format", "{{.State.Pid}}", "first")) })
	secret := e.volume()
	e.stop("first")

	e.run("second")
	if after := e.volume(); after != secret || !strings.Contains(secret, ".secret") {
		t.Errorf("the volume has the secrets %q in the first container and %q in the second, want the same", secret, after)
	}
	e.stop("second")
}

// imageContext returns the build context that `make image` uses: a directory with the static binary
// and an empty directory.
func imageContext(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "bin", "state"), 0o755); err != nil {
		t.Fatal(err)
	}
	binary, err := os.ReadFile(server.Binary(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bin", "icebox"), binary, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// loopback enables the sandbox's loopback interface, with an address to relay from.
func loopback(t *testing.T) {
	t.Helper()
	for _, args := range []string{"link set lo up", "address add 45.33.3.2/32 dev lo"} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", args, err, out)
		}
	}
}

// unifiedGroups mounts a single cgroup2 hierarchy, as every current Debian has. Debian 12's crun
// refuses a host that mixes versions.
func unifiedGroups(t *testing.T) {
	t.Helper()
	if err := syscall.Mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, ""); err != nil {
		t.Fatalf("mount control groups: %v", err)
	}
}

// containers runs buildah and podman with their own storage.
type containers struct {
	t   *testing.T
	dir string
}

func (e containers) storage() []string {
	return []string{"--storage-driver", "vfs", "--root", filepath.Join(e.dir, "root"), "--runroot", filepath.Join(e.dir, "run")}
}

func (e containers) buildah(args ...string) string { return e.exec("buildah", e.storage(), args) }

func (e containers) podman(args ...string) string {
	return e.exec("podman", append(e.storage(), "--tmpdir", filepath.Join(e.dir, "tmp"), "--cgroup-manager", "cgroupfs"), args)
}

func (e containers) exec(program string, global, args []string) string {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, program, append(global, args...)...)
	out, err := c.CombinedOutput()
	if err != nil {
		e.t.Fatalf("%s %s: %v: %s", program, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// run starts a container and waits until its daemon is ready. The limits stay those of this host,
// because raising them may need a privilege that a test machine lacks.
func (e containers) run(name string) {
	e.t.Helper()
	var files, processes syscall.Rlimit
	const nproc = 6 // RLIMIT_NPROC
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		e.t.Fatal(err)
	}
	if err := syscall.Getrlimit(nproc, &processes); err != nil {
		e.t.Fatal(err)
	}
	e.podman("run", "--detach", "--name", name, "--network", "host", "--cgroups", "disabled",
		"--ulimit", fmt.Sprintf("nofile=%d:%d", files.Cur, files.Cur), "--ulimit", fmt.Sprintf("nproc=%d:%d", processes.Cur/2, processes.Cur/2),
		"--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges", "--volume", "state:/var/lib/icebox",
		"--env", "ICEBOX_PUBLIC_HOST=127.0.0.1", "--env", "ICEBOX_EXTERNAL_IP=", "icebox")
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		reply, err := http.Get("http://127.0.0.1:9641/readyz")
		if err == nil {
			reply.Body.Close()
			if reply.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			e.t.Fatalf("the container is not ready: %v:\n%s\n%s", err, e.podman("ps", "--all"), e.podman("logs", name))
		}
		<-tick.C
	}
}

// stop stops a container as a container runtime does. Its daemon must exit with status 0.
func (e containers) stop(name string) {
	e.t.Helper()
	e.podman("stop", name)
	if code := e.podman("inspect", "--format", "{{.State.ExitCode}}", name); code != "0" {
		e.t.Errorf("the container %s exited with status %s, want 0", name, code)
	}
	if _, err := net.Dial("tcp", "127.0.0.1:9641"); err == nil {
		e.t.Errorf("a process still listens after the container %s has stopped", name)
	}
}

// volume returns the names, modes and contents of the secrets in the volume.
func (e containers) volume() string {
	e.t.Helper()
	dir := e.podman("volume", "inspect", "--format", "{{.Mountpoint}}", "state")
	files, err := filepath.Glob(filepath.Join(dir, "*.secret"))
	if err != nil {
		e.t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			e.t.Fatal(err)
		}
		text, err := os.ReadFile(f)
		if err != nil {
			e.t.Fatal(err)
		}
		fmt.Fprintf(&all, "%s %s %x\n", filepath.Base(f), info.Mode(), text)
	}
	return all.String()
}

// checkSize limits what a host has to download and store.
func checkSize(t *testing.T, text string) {
	const most = 30 << 20
	if size, err := strconv.Atoi(text); err != nil || size > most {
		t.Errorf("the image has %s bytes (%v), want at most %d", text, err, most)
	}
}

// checkUser checks that the process runs as an unprivileged user without capabilities.
func checkUser(t *testing.T, pid string) {
	status, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\nUid:\t65532\t65532\t65532\t65532\n", "\nCapEff:\t0000000000000000\n", "\nNoNewPrivs:\t1\n"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("the daemon's process status lacks %q:\n%s", want, status)
		}
	}
}
