package shipped

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"icebox/deploy/e2e/server"
)

// TestImportOfTheExample runs `icebox import-coturn` on the file that Debian's coturn installs, as
// it is and with each of its commented-out settings enabled.
func TestImportOfTheExample(t *testing.T) {
	example, err := os.ReadFile("/etc/turnserver.conf")
	if err != nil {
		t.Fatalf("read the file that Debian's coturn installs: %v", err)
	}
	on := regexp.MustCompile(`(?m)^# ?([A-Za-z][A-Za-z0-9_-]*(=.*| ".*")?)$`).ReplaceAll(example, []byte("$1"))
	if n := bytes.Count(on, []byte("\n#")); n > 600 || bytes.Equal(on, example) {
		t.Fatalf("%d lines of the example are still comments", n)
	}
	for name, text := range map[string][]byte{"as it is": example, "all on": on} {
		t.Run(name, func(t *testing.T) {
			in, out := filepath.Join(t.TempDir(), "turnserver.conf"), filepath.Join(t.TempDir(), "icebox.yaml")
			if err := os.WriteFile(in, text, 0o600); err != nil {
				t.Fatal(err)
			}
			icebox := func(args ...string) string {
				c := exec.Command(server.Binary(t), args...)
				c.Env = []string{"HOME=/"} // icebox takes every ICEBOX_ variable for a setting
				output, err := c.CombinedOutput()
				if err != nil {
					t.Fatalf("icebox %s: %v: %s", args[0], err, output)
				}
				return string(output)
			}
			report := icebox("import-coturn", in, "--output", out)
			if strings.Contains(report, "no such option") {
				t.Errorf("the import does not know an option:\n%s", report)
			}
			icebox("check", "--config", out)
		})
	}
}
