package shipped

import (
	"os/exec"
	"path/filepath"
	"testing"

	"icebox/deploy/e2e/server"
)

// TestAlerts lets promtool check the alert rules and run the unit tests beside them. A test of
// cmd/icebox checks that the metrics exist.
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
