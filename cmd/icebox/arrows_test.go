package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// pkg is what the Go tool says of one package of the module.
type pkg struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	list := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "icebox/...")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var p pkg
		if err := d.Decode(&p); err != nil {
			t.Fatalf("go list: %v", err)
		}
		all = append(all, p)
	}
	return all
}

// matches says whether a path fits a pattern of the Go tool: a path, or a path/... for it and all below it.
func matches(path, pattern string) bool {
	root, tree := strings.CutSuffix(pattern, "/...")
	return path == root || tree && strings.HasPrefix(path, root+"/")
}

// arrow is an import that must not be: from packages that match from, and none of except, to those that match to.
type arrow struct {
	from, to string
	except   []string
	tests    bool // tests may not either
	reason   string
}

const (
	inDaemon = "icebox/cmd/icebox/..."
	inRelay  = "icebox/turnserver/..."
	inHub    = "icebox/signal/..."
	apart    = "each is of use without the other; what one needs of the other is a func joined in cmd/icebox"
	downward = "commands compose components, never the other way"
	leaf     = "it computes, without input or output"
	values   = "a configuration is values that any component may be built from"
)

var forbidden = []arrow{
	{from: "icebox/...", to: "icebox/config/...", except: []string{inDaemon, "icebox/config/..."}, tests: true,
		reason: "a component gets Options and Limits; where they were written is the daemon's affair"},
	{from: inRelay, to: inHub, tests: true, reason: apart},
	{from: inHub, to: inRelay, tests: true, reason: apart},
	{from: inRelay, to: "icebox/cmd/...", tests: true, reason: downward},
	{from: inHub, to: "icebox/cmd/...", tests: true, reason: downward},
	{from: "icebox/config/...", to: "icebox/cmd/...", tests: true, reason: downward},
	{from: "icebox/config/...", to: inRelay, reason: values},
	{from: "icebox/config/...", to: inHub, reason: values},

	{from: "icebox/signal/broker", to: "icebox/signal", reason: "a broker carries messages between nodes and knows no client"},
	{from: inHub, to: "icebox/signal/gateway", reason: "the front door knows the rooms; no room knows the front door"},
	{from: "icebox/signal", to: "icebox/signal/classic", reason: "the hub's core knows no wire protocol"},
	{from: "icebox/signal", to: "icebox/signal/socket", reason: "the hub's core knows no wire protocol"},
	{from: inHub, to: "icebox/signal/web", reason: "the pages are a client like any other: the hub serves what it is given"},
	{from: "icebox/signal/web", to: inHub, reason: "the pages are a client like any other: they know the protocol, not its code"},

	{from: "icebox/turnserver/credential", to: "net", reason: leaf},
	{from: "icebox/turnserver/credential", to: "os", reason: leaf},
	{from: "icebox/turnserver/peer", to: "net", reason: leaf},
	{from: "icebox/turnserver/peer", to: "os", reason: leaf},
	{from: "icebox/turnserver/wire", to: "net", reason: leaf},
	{from: "icebox/turnserver/wire", to: "os", reason: leaf},
	{from: "icebox/turnserver/portpool", to: "net", reason: leaf},
	{from: inRelay, to: "icebox/turnserver", reason: "the server is built from its parts; no part knows the whole"},

	{from: "icebox/...", to: "github.com/pion/turn/v3/...", except: []string{"icebox/turnserver/engine"},
		reason: "Pion sees only what the front has validated; nobody else may hand it a byte"},
	{from: "icebox/...", to: "github.com/gorilla/websocket", except: []string{inHub, "icebox/cmd/iceload/..."},
		reason: "WebSockets are how signalling talks, and nothing else does"},
	{from: "icebox/...", to: "github.com/spf13/viper", except: []string{"icebox/config"}, reason: "one package reads the configuration"},
	{from: "icebox/...", to: "github.com/spf13/cobra", except: []string{"icebox/cmd/..."}, reason: "only commands have a command line"},
	{from: "icebox/...", to: "github.com/prometheus/client_golang/prometheus/promhttp", except: []string{inDaemon},
		reason: "components register metrics; the daemon serves them"},
	{from: "icebox/...", to: "math/rand", tests: true, reason: "math/rand/v2 needs no seed, and what must not be guessed is from crypto/rand"},
	{from: "icebox/...", to: "log", reason: "components log with the slog.Logger they are given"},
}

// TestArrows holds the direction of imports.
func TestArrows(t *testing.T) {
	all := packages(t)
	for _, a := range forbidden {
		stands := false
		for _, p := range all {
			if !matches(p.ImportPath, a.from) || slices.ContainsFunc(a.except, func(e string) bool { return matches(p.ImportPath, e) }) {
				continue
			}
			stands = true
			imports := p.Imports
			if a.tests {
				imports = slices.Concat(p.Imports, p.TestImports, p.XTestImports)
			}
			for _, i := range imports {
				if matches(i, a.to) {
					t.Errorf("%s imports %s: %s", p.ImportPath, i, a.reason)
				}
			}
		}
		if !stands {
			t.Errorf("the arrow from %s to %s is about no package", a.from, a.to)
		}
	}
}
