package server

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Package is the Debian package under test: $ICEBOX_DEB, else what deploy/debian/build.sh builds for this host.
func Package(t testing.TB) string {
	t.Helper()
	path, err := deb()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var deb = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("ICEBOX_DEB"); path != "" {
		return filepath.Abs(path)
	}
	arch, err := exec.Command("dpkg", "--print-architecture").Output()
	if err != nil {
		return "", err
	}
	build := exec.Command("deploy/debian/build.sh", strings.TrimSpace(string(arch)))
	build.Dir = Root()
	out, err := build.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the package: %w: %s", err, out)
	}
	_, rest, _ := strings.Cut(string(out), " in '")
	name, _, found := strings.Cut(rest, "'")
	if !found {
		return "", fmt.Errorf("build the package: it is not told where: %s", out)
	}
	return filepath.Join(Root(), name), nil
})
