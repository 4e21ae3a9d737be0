// Package shipped tests what deploy/ ships for a first deployment: the systemd unit under a real
// systemd, the Debian package, the container image with buildah and podman, the Compose files, the
// alerts, and the instructions in deploy/README.md.
package shipped

import (
	"os"
	"path/filepath"
	"testing"

	"icebox/deploy/e2e/sandbox"
	"icebox/deploy/e2e/server"
)

func TestMain(m *testing.M) { os.Exit(sandbox.Run(m)) }

// readFile reads a file of the repository.
func readFile(t *testing.T, path ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{server.Root()}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return text
}
