package main

import (
	"encoding/json"
	"os/exec"
	"testing"
)

// reasons says for each direct dependency of the module why it is there. What is not here is not to be depended on.
var reasons = map[string]string{
	"github.com/google/go-cmp":            "tests: says where two values differ",
	"github.com/gorilla/websocket":        "WebSocket, server side; given",
	"github.com/pion/dtls/v3":             "DTLS for TURN over DTLS; the maintained line, turn/v3's own is not",
	"github.com/pion/logging":             "the logger that pion/turn has to be handed, for it to log nowhere but to ours",
	"github.com/pion/stun/v2":             "the messages that pion/turn/v3 is driven with; given",
	"github.com/pion/turn/v3":             "the state machine of allocations, permissions and channels; given",
	"github.com/prometheus/client_golang": "metrics",
	"github.com/spf13/cobra":              "the command line",
	"github.com/spf13/pflag":              "cobra's flags, asked which of them were set",
	"github.com/spf13/viper":              "layers of configuration; given",
	"go.uber.org/goleak":                  "tests: nothing runs on after Close",
	"go.yaml.in/yaml/v3":                  "YAML with line numbers, for errors that name the line",
	"golang.org/x/sys":                    "socket options and system calls that syscall lacks",
}

// TestDependencies holds the direct dependencies in go.mod to those with a reason.
func TestDependencies(t *testing.T) {
	out, err := exec.Command("go", "mod", "edit", "-json", "../../go.mod").Output()
	if err != nil {
		t.Fatalf("go mod edit: %v", err)
	}
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	direct := map[string]bool{}
	for _, r := range mod.Require {
		if r.Indirect {
			continue
		}
		direct[r.Path] = true
		if reasons[r.Path] == "" {
			t.Errorf("go.mod requires %s and nobody says why", r.Path)
		}
	}
	for path := range reasons {
		if !direct[path] {
			t.Errorf("there is a reason for %s, and go.mod does not require it", path)
		}
	}
}
