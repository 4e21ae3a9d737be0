package shipped

import (
	"os/exec"
	"path/filepath"
	"testing"

	"icebox/deploy/e2e/server"
)

// TestAlerts has Prometheus' own tool read the alerts and play the scenes beside them. That the metrics exist is a test of
// cmd/icebox.
func TestAlerts(t *testing.T) {
	dir := filepath.Join(server.Root(), "deploy", "prometheus")
	for _, args := range [][]string{{"check", "rules", "icebox.rules.yml"}, {"test", "rules", "icebox.rules.test.yml"}} {
		c := exec.Command("promtool", args...)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v: %s", args[0], err, out)
		}
	}
}
