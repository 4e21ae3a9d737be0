package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"strings"
	"testing"
)

// pkg is a package in the output of `go list`.
type pkg struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

func list(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "icebox/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	d := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// TestArrows: imports between packages go one way. Each forbidden import has its reason.
func TestArrows(t *testing.T) {
	forbidden := []struct{ from, to, reason string }{
		{"icebox/turnserver/limit", "icebox/turnserver", "the limits are a leaf package without I/O"},
		{"icebox/turnserver", "icebox/signal", "the relay and the hub are joined in cmd/icebox/daemon alone"},
		{"icebox/signal", "icebox/turnserver", "the relay and the hub are joined in cmd/icebox/daemon alone"},
		{"icebox/turnserver", "icebox/config", "the relay takes Options and Limits and does not know the file"},
		{"icebox/signal", "icebox/config", "the hub takes Options and Limits and does not know the file"},
		{"icebox/config", "icebox/turnserver", "the form of the file must not depend on how the relay is built"},
		{"icebox/config", "icebox/signal", "the form of the file must not depend on how the hub is built"},
		{"icebox/config", "icebox/cmd", "commands import packages, not the other way round"},
		{"icebox/turnserver", "icebox/cmd", "commands import packages, not the other way round"},
		{"icebox/signal", "icebox/cmd", "commands import packages, not the other way round"},
		{"icebox/turnserver/wire", "icebox/turnserver", "the codec is a leaf"},
		{"icebox/turnserver/credential", "icebox/turnserver", "credentials are a leaf without I/O"},
		{"icebox/turnserver/peer", "icebox/turnserver", "the peer policy is a leaf without I/O"},
		{"icebox/turnserver/flow", "icebox/turnserver", "forwarding state is a leaf"},
		{"icebox/turnserver/packetio", "icebox/turnserver", "sockets do not know TURN"},
		{"icebox/turnserver/streamio", "icebox/turnserver", "streams do not know TURN"},
		{"icebox/turnserver/dtlsgate", "icebox/turnserver", "the gate is a leaf without I/O"},
		{"icebox/turnserver/engine", "icebox/turnserver", "the state machine never sees unvalidated input"},
		{"icebox/signal/broker", "icebox/signal", "the broker assigns names for any protocol"},
		{"icebox/signal/rawjson", "icebox/signal", "reading JSON is a leaf"},
		{"icebox/signal/websocket", "icebox/signal/protocol", "a connection carries any protocol"},
		{"icebox/signal/protocol/classic", "icebox/signal/protocol", "protocols are isolated from one another"},
		{"icebox/signal/protocol/native/call", "icebox/signal/protocol/native", "the states of a call do not depend on the messages that change them"},
		{"icebox/signal/protocol/native/wire", "icebox/signal/protocol/native", "the messages are a leaf, because clients share them"},
		{"icebox/signal/protocol/peerjs", "icebox/signal/protocol", "protocols are isolated from one another"},
		{"icebox/signal/protocol/pocketbase", "icebox/signal/protocol", "protocols are isolated from one another"},
		{"icebox/signal/protocol/topics", "icebox/signal/protocol", "protocols are isolated from one another"},
		{"icebox/cmd/icebox/admin", "icebox/cmd/icebox/daemon", "the daemon mounts the admin API and passes funcs to it"},
		{"icebox/cmd/icebox/certs", "icebox/cmd/icebox/daemon", "certificates know no listener"},
		{"icebox/cmd/icebox/coturn", "icebox/cmd/icebox/daemon", "a configuration is imported without a daemon"},
		{"icebox/cmd/icebox/doctor", "icebox/cmd/icebox/daemon", "the doctor asks a daemon over its API and runs without one"},
		{"icebox/cmd/icebox/endpoints", "icebox/cmd/icebox/daemon", "commands need the URIs without a daemon"},
		{"icebox/cmd/icebox/endpoints", "icebox/turnserver", "endpoints follow from the configuration and the host alone"},
		{"icebox/cmd/icebox/endpoints", "icebox/signal", "endpoints follow from the configuration and the host alone"},
		{"icebox/cmd/icebox/logqueue", "icebox/cmd/icebox", "a queue of lines is a leaf"},
		{"icebox/cmd/icebox/preaccept", "icebox/cmd/icebox", "it holds connections back and does not know why"},
		{"icebox/cmd/icebox/proxyproto", "icebox/cmd/icebox/daemon", "the PROXY protocol needs a listener and a func that trusts"},
		{"icebox/cmd/icebox/relayaddr", "icebox/cmd/icebox", "choosing relay addresses is a leaf"},
		{"icebox/cmd/icebox/sharedport", "icebox/cmd/icebox/daemon", "a shared port knows neither of its servers"},
		{"icebox/cmd/icebox/sockets", "icebox/cmd/icebox", "opening sockets is a leaf"},
		{"icebox/cmd/icebox/statedir", "icebox/cmd/icebox", "the state directory is a leaf"},
		{"icebox/cmd/iceload", "icebox/config", "a load generator measures any server"},
		{"icebox/cmd/iceload", "icebox/cmd/icebox", "a load generator measures any server"},
	}
	// Exceptions: packages of its own tree that a leaf may import.
	except := map[[2]string]bool{
		{"icebox/turnserver/streamio", "icebox/turnserver/packetio"}: true, // both move bytes, and share packets and system calls
	}
	for _, p := range list(t) {
		for _, imported := range p.Imports {
			if below(imported, "icebox/signal/signaltest") && !below(p.ImportPath, "icebox/signal/signaltest") {
				t.Errorf("%s imports %s: only tests need it", p.ImportPath, imported)
			}
		}
		for _, imported := range append(p.Imports, append(p.TestImports, p.XTestImports...)...) {
			for _, f := range forbidden {
				within := imported == f.to || strings.HasPrefix(imported, f.to+"/")
				leaf := strings.HasPrefix(f.from, f.to+"/") && within // a leaf imports nothing of its tree but itself
				if below(p.ImportPath, f.from) && within && (!leaf || !below(imported, f.from)) && !except[[2]string{f.from, imported}] {
					t.Errorf("%s imports %s: %s", p.ImportPath, imported, f.reason)
				}
			}
		}
	}
}

func below(p, root string) bool { return p == root || strings.HasPrefix(p, root+"/") }

// TestOneDoor: only one package, or the packages below it, may import these, except in tests.
func TestOneDoor(t *testing.T) {
	doors := []struct{ from, to, reason string }{
		{"icebox/turnserver/engine", "github.com/pion/turn/v3", "Pion sees only bytes that the front has validated"},
		{"icebox/config", "github.com/spf13/viper", "one package reads the configuration"},
		{"icebox/cmd", "github.com/spf13/cobra", "only commands have a command line"},
		{"icebox/cmd/icebox", "github.com/prometheus/client_golang/prometheus/promhttp", "components register metrics, the daemon serves them"},
		{"icebox/cmd/icebox/daemon", "icebox/signal/gateway", "only the daemon puts the gateway in front of the hub"},
		{"icebox/cmd/icebox/daemon", "icebox/signal/protocol/classic", "only the daemon joins protocols to the gateway"},
		{"icebox/cmd/icebox/daemon", "icebox/signal/protocol/peerjs", "only the daemon joins protocols to the gateway"},
		{"icebox/cmd/icebox/daemon", "icebox/signal/protocol/pocketbase", "only the daemon joins protocols to the gateway"},
		{"icebox/cmd/icebox/daemon", "icebox/signal/protocol/topics", "only the daemon joins protocols to the gateway"},
		{"icebox/signal/protocol/native", "icebox/signal/protocol/native/call", "only the native protocol has calls with states"},
		{"icebox/cmd/icebox/daemon", "icebox/signal/web", "the pages are a client like any other; the hub serves what it is given"},
	}
	for _, p := range list(t) {
		if below(p.ImportPath, "icebox/signal/signaltest") {
			continue // only tests import it
		}
		for _, imported := range p.Imports {
			if below(p.ImportPath, "icebox/signal/gateway") && below(imported, "icebox/signal/protocol") {
				t.Errorf("%s imports %s: the gateway mounts protocols and knows none of them", p.ImportPath, imported)
			}
			for _, d := range doors {
				if below(imported, d.to) && !below(p.ImportPath, d.from) && !below(p.ImportPath, d.to) {
					t.Errorf("%s imports %s: %s", p.ImportPath, imported, d.reason)
				}
			}
		}
	}
}

// TestPackageNames: the name of a package says what it does.
func TestPackageNames(t *testing.T) {
	for _, p := range list(t) {
		switch path.Base(p.ImportPath) {
		case "util", "utils", "common", "helpers", "types", "defs", "misc", "shared":
			t.Errorf("the name of %s does not say what the package does", p.ImportPath)
		}
	}
}

// TestDependencies: every direct dependency of this module has a reason.
func TestDependencies(t *testing.T) {
	reasons := map[string]string{
		"github.com/golang-jwt/jwt/v5":        "JSON Web Tokens: signatures and times are too easy to get wrong",
		"github.com/google/go-cmp":            "tests: readable differences between configurations",
		"github.com/gorilla/websocket":        "WebSocket for signalling (fixed by the design)",
		"github.com/pion/dtls/v3":             "DTLS for TURN clients; v2, which Pion's TURN v3 depends on, gets no fixes any more",
		"github.com/pion/logging":             "the logger interface of Pion's packages",
		"github.com/pion/stun/v2":             "the codec of the TURN state machine (fixed by the design)",
		"github.com/pion/turn/v3":             "the TURN state machine (fixed by the design)",
		"github.com/prometheus/client_golang": "metrics",
		"github.com/spf13/cobra":              "the command line",
		"github.com/spf13/pflag":              "the flags of cobra's commands",
		"github.com/spf13/viper":              "merging file, environment and flags (fixed by the design)",
		"go.uber.org/goleak":                  "tests: no goroutine is left running",
		"go.yaml.in/yaml/v3":                  "the node tree, for errors that name key and line",
		"golang.org/x/crypto":                 "ACME: the client below autocert, because autocert hides the authority's reasons; bcrypt: the hash of stored passwords",
		"golang.org/x/sys":                    "socket options that the standard library lacks",
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{if not (or .Main .Indirect)}}{{.Path}}{{end}}", "all").Output()
	if err != nil {
		t.Fatalf("go list -m: %v", err)
	}
	direct := strings.Fields(string(out))
	for _, d := range direct {
		if reasons[d] == "" {
			t.Errorf("%s is a direct dependency without a reason", d)
		}
		delete(reasons, d)
	}
	for d := range reasons {
		t.Errorf("%s has a reason, but is not a direct dependency", d)
	}
}
