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

// Package returns the path of the Debian package under test: $ICEBOX_DEB, or else one that
// deploy/debian/build.sh builds for this host.
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
		return "", fmt.Errorf("build the package: the output does not say where it is: %s", out)
	}
	return filepath.Join(Root(), name), nil
})
