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

// TestPackageInFreshDebian is TestPackage in a new Debian 12 in the directory $E2E_DEBIAN, which
// has only what the package depends on. `make test-long` creates it with debootstrap from Debian's
// mirror, because these tests have no network.
func TestPackageInFreshDebian(t *testing.T) {
	root := os.Getenv("E2E_DEBIAN")
	if _, err := os.Stat(filepath.Join(root, "etc", "debian_version")); root == "" || err != nil {
		t.Fatalf("E2E_DEBIAN=%s is not the directory of a Debian system; make test-long sets it (%v)", root, err)
	}
	testPackage(t, machine.BootFrom(t, root, packages(t)))
}

// TestLintian checks the package with Debian's own linter.
func TestLintian(t *testing.T) {
	out, err := exec.Command("lintian", "--fail-on", "error,warning", "--allow-root", server.Package(t)).CombinedOutput()
	if err != nil {
		t.Errorf("lintian: %v: %s", err, out)
	}
}

// TestReproducible builds the packages of all architectures twice, in different directories and
// with different umasks, time zones and languages. The results must be identical.
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
		t.Errorf("the two builds must be identical and contain both architectures:\n%s\n%s", sums[0], sums[1])
	}
}
