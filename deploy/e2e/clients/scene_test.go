package clients

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"icebox/deploy/e2e/browser"
	"icebox/deploy/e2e/netlab"
	"icebox/deploy/e2e/pki"
	"icebox/deploy/e2e/server"
)

// patience limits each step that should take a moment, on a busy machine.
const patience = 60 * time.Second

// scene is what all clients share: a network, a daemon, the pages, and two browsers.
type scene struct {
	icebox      *server.Icebox
	left, right *browser.Browser
}

func setUp(t *testing.T, config string) *scene {
	t.Helper()
	lab := netlab.New(t, netlab.Options{Name: name, NoV6: true})
	files := pki.Make(t, name)
	s := &scene{}
	var ready sync.WaitGroup
	for host, b := range map[string]**browser.Browser{netlab.Left: &s.left, netlab.Right: &s.right} {
		command := func(ctx context.Context, argv ...string) *exec.Cmd { return lab.Command(ctx, host, argv...) }
		ready.Go(func() { *b = browser.Start(t, browser.Options{Name: host, CA: files.CA, Command: command}) })
	}
	text := fmt.Sprintf("public_host: %s\ntls: {certificate: %s, key: %s}\n%s", name, files.Cert, files.Key, config)
	s.icebox = server.StartIcebox(t, server.IceboxOptions{
		Host: lab.Host(netlab.VPS), Config: text, Admin: "127.0.0.1:9641", StateDir: filepath.Join(t.TempDir(), "state"),
	})
	servePages(t, lab, files)
	ready.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return s
}

// servePages bundles the pages and serves them on vps.
func servePages(t *testing.T, lab *netlab.Lab, files pki.Files) {
	t.Helper()
	here := filepath.Join(server.Root(), "deploy", "e2e", "clients")
	out := t.TempDir()
	if out, err := exec.Command("node", filepath.Join(here, "build.mjs"), out, name).CombinedOutput(); err != nil {
		t.Fatalf("bundle the pages: %v: %s", err, out)
	}
	page, err := os.ReadFile(filepath.Join(here, "pages", "index.html"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(out, "index.html"), page, 0o600); err != nil {
		t.Fatal(err)
	}
	var l net.Listener
	err = lab.Do(netlab.VPS, func() error {
		var err error
		l, err = net.Listen("tcp", ":"+pagesPort)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	pages := http.NewServeMux()
	pages.Handle("/", http.FileServer(http.Dir(out)))
	// icebox is reachable under the pages' own origin as well, as behind Nginx, for clients that
	// need it.
	pages.Handle("/api/", proxy(lab))
	pages.Handle("/ice", proxy(lab))
	web := &http.Server{Handler: pages, ReadHeaderTimeout: patience, ErrorLog: discardLog}
	served := make(chan error)
	go func() { served <- web.ServeTLS(l, files.Cert, files.Key) }()
	t.Cleanup(func() {
		web.Close()
		<-served
	})
}

// proxy forwards requests to icebox.
func proxy(lab *netlab.Lab) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: iceboxPlain})
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		Transport: &http.Transport{DialContext: lab.Host(netlab.VPS).Dial},
		ErrorLog:  discardLog,
	}
}

// discardLog ignores errors about connections that browsers close early.
var discardLog = log.New(io.Discard, "", 0)

// clientTest is the test of one client: both browsers on its page.
type clientTest struct {
	t             *testing.T
	scene         *scene
	left, right   *browser.Browser
	relayedBefore float64 // bytes relayed before this test
}

// openPages opens a page in both browsers, as left and as right.
func (s *scene) openPages(t *testing.T, page string) *clientTest {
	t.Helper()
	v := &clientTest{t: t, scene: s, left: s.left.In(t), right: s.right.In(t), relayedBefore: s.relayedBytes()}
	for host, b := range v.both() {
		b.Goto(fmt.Sprintf("https://%s:%s/?%s#%s", name, pagesPort, page, host))
	}
	// Close the page at the end, so that nothing of this client stays open for the next one.
	t.Cleanup(func() {
		for _, b := range v.both() {
			_ = b.TryGoto("about:blank")
		}
	})
	return v
}

func (v *clientTest) both() map[string]*browser.Browser {
	return map[string]*browser.Browser{netlab.Left: v.left, netlab.Right: v.right}
}

// relayedBytes returns how many bytes of payload the daemon has relayed.
func (s *scene) relayedBytes() float64 { return s.icebox.Metric("icebox_turn_relayed_bytes_total") }

// waitForState waits until the page shows the given state.
func waitForState(b *browser.Browser, word string) {
	b.WaitFor("the state "+word, `return document.querySelector("#state").textContent === args`, word, patience)
}

// waitForText waits until the page shows the given text from the other side.
func waitForText(b *browser.Browser, want string) {
	b.WaitFor("the text "+want, `return document.querySelector("#text").value === args`, want, patience)
}

// waitForVideo waits until both sides see each other, and checks that the video goes through the
// relay.
func (v *clientTest) waitForVideo() {
	v.t.Helper()
	if !v.videoPlays(patience) {
		v.t.Logf("left: %q", candidates(v.left))
		v.t.Logf("right: %q", candidates(v.right))
		v.t.Fatalf("no video within %s", patience)
	}
	v.throughRelay()
}

// videoPlays reports whether both sides see each other within the given time.
func (v *clientTest) videoPlays(within time.Duration) bool {
	v.t.Helper()
	const moves = `const v = document.querySelector("#theirs"); return v.videoWidth > 0 && v.currentTime > 0.5`
	return v.left.Becomes(moves, nil, within) && v.right.Becomes(moves, nil, within)
}

// candidates returns the states and candidates of a browser's connections.
func candidates(b *browser.Browser) []string {
	var all []string
	b.Run(`
		const all = [];
		for (const peer of e2ePeers) {
			all.push(peer.connectionState + " " + peer.signalingState);
			for (const s of (await peer.getStats()).values()) {
				if (/-candidate$/.test(s.type)) all.push([s.type, s.candidateType, s.protocol, s.relayProtocol, s.address, s.port].join(" "));
			}
		}
		return all;`, nil, &all)
	return all
}

// throughRelay checks that both browsers selected a pair with a relay candidate, and that the
// daemon has relayed bytes.
func (v *clientTest) throughRelay() {
	v.t.Helper()
	for host, b := range v.both() {
		var pair []string
		b.Run(`
			for (const peer of e2ePeers) {
				const stats = await peer.getStats();
				const transport = [...stats.values()].find((s) => s.type === "transport" && s.selectedCandidatePairId);
				const pair = stats.get(transport?.selectedCandidatePairId);
				if (pair && peer.connectionState === "connected") {
					return [stats.get(pair.localCandidateId).candidateType, stats.get(pair.remoteCandidateId).candidateType];
				}
			}
			return [];`, nil, &pair)
		if len(pair) != 2 || pair[0] != "relay" && pair[1] != "relay" {
			v.t.Errorf("%s: the selected pair is %v, want a relay candidate in it", host, pair)
		}
	}
	if v.scene.relayedBytes() <= v.relayedBefore {
		v.t.Error("the daemon has relayed nothing")
	}
}
