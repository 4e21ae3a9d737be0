package shipped

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"icebox/deploy/e2e/machine"
	"icebox/deploy/e2e/server"
)

// TestPackageInFreshDebian is TestPackage in a Debian 12 that debootstrap has just made, in $E2E_DEBIAN: nothing is there
// that the package doesn't ask for. `make test-long` makes it, which takes Debian's mirror: these tests have no network.
func TestPackageInFreshDebian(t *testing.T) {
	root := os.Getenv("E2E_DEBIAN")
	if _, err := os.Stat(filepath.Join(root, "etc", "debian_version")); root == "" || err != nil {
		t.Fatalf("E2E_DEBIAN=%s names no Debian: make test-long does (%v)", root, err)
	}
	packageLife(t, machine.BootFrom(t, root, packages(t)))
}

// TestLintian holds the package to Debian's own measure.
func TestLintian(t *testing.T) {
	out, err := exec.Command("lintian", "--fail-on", "error,warning", "--allow-root", server.Package(t)).CombinedOutput()
	if err != nil {
		t.Errorf("lintian: %v: %s", err, out)
	}
}

// TestReproducible builds every architecture's package twice, in two places, under two masks and time zones.
func TestReproducible(t *testing.T) {
	var sums []string
	for _, shell := range []string{"umask 022; export TZ=UTC", "umask 077; export TZ=Asia/Tokyo LANG=de_DE.UTF-8"} {
		tree := filepath.Join(t.TempDir(), "tree")
		script := shell + `; git worktree add --detach "$1" HEAD && cd "$1" && deploy/debian/build.sh && sha256sum bin/*.deb`
		build := exec.Command("sh", "-euc", script, "sh", tree)
		build.Dir = server.Root()
		out, err := build.Output()
		remove := exec.Command("git", "worktree", "remove", "--force", tree)
		remove.Dir = server.Root()
		if out, err := remove.CombinedOutput(); err != nil {
			t.Errorf("remove the worktree: %v: %s", err, out)
		}
		if err != nil {
			t.Fatalf("build: %v: %s", err, out)
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		sums = append(sums, strings.Join(lines[len(lines)-2:], "\n"))
	}
	if sums[0] != sums[1] || !strings.Contains(sums[0], "_amd64.deb") || !strings.Contains(sums[0], "_arm64.deb") {
		t.Errorf("built twice:\n%s\n%s", sums[0], sums[1])
	}
}
