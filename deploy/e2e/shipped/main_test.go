// Package shipped proves what deploy/ ships for a first deployment: the systemd unit under a real systemd, the image with
// buildah and podman, the Compose file.
package shipped

import (
	"os"
	"path/filepath"
	"testing"

	"icebox/deploy/e2e/sandbox"
	"icebox/deploy/e2e/server"
)

func TestMain(m *testing.M) { os.Exit(sandbox.Run(m)) }

// ship reads a file of the repository.
func ship(t *testing.T, path ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{server.Root()}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return text
}
