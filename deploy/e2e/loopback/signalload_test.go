package loopback

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"

	"icebox/deploy/e2e/server"
)

// TestSignalLoad lets the load generator measure the daemon and its Node.js reference briefly. It
// checks that everything works, not how fast it is.
func TestSignalLoad(t *testing.T) {
	t.Parallel()
	icebox := server.Binary(t)
	out, err := exec.Command(filepath.Join(filepath.Dir(icebox), "iceload"), "signal", "compare", "--json", "--quiet",
		"--icebox", icebox, "--modules", filepath.Join(server.Root(), "deploy", "e2e", "node_modules"),
		"--load", "candidate,offer-tls,sign-in,idle,idle-tls", "--counts", "20,60", "--clients", "10",
		"--candidate-rate", "500", "--offer-rate", "100", "--sign-in-rate", "50",
		"--rounds", "1", "--duration", "300ms", "--warmup", "50ms", "--rest", "10ms").CombinedOutput()
	if err != nil {
		t.Fatalf("iceload: %v\n%s", err, out)
	}
	var report struct {
		Reference string
		Tests     []struct {
			Name    string
			Servers []struct {
				Name string
				Runs []struct {
					Error string
					Loss  float64 `json:"loss_percent"`
				}
			}
		}
	}
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if report.Reference != "node" || len(report.Tests) != 5 {
		t.Errorf("compared %d loads to %q", len(report.Tests), report.Reference)
	}
	for _, test := range report.Tests {
		if len(test.Servers) != 3 {
			t.Errorf("%s: %d servers", test.Name, len(test.Servers))
		}
		for _, s := range test.Servers {
			if s.Runs[0].Error != "" || s.Runs[0].Loss > 0 {
				t.Errorf("%s, %s: %+v", s.Name, test.Name, s.Runs[0])
			}
		}
	}
}
