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

// patience is for what takes a moment, on a machine with much else to do.
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
	if said, err := exec.Command("node", filepath.Join(here, "build.mjs"), out, name).CombinedOutput(); err != nil {
		t.Fatalf("bundle the pages: %v: %s", err, said)
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
	// The same origin for what asks for it, as Nginx would have it.
	pages.Handle("/api/", proxy(lab))
	pages.Handle("/ice", proxy(lab))
	web := &http.Server{Handler: pages, ReadHeaderTimeout: patience, ErrorLog: silence}
	served := make(chan error)
	go func() { served <- web.ServeTLS(l, files.Cert, files.Key) }()
	t.Cleanup(func() {
		web.Close()
		<-served
	})
}

// proxy passes requests on to icebox.
func proxy(lab *netlab.Lab) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: iceboxPlain})
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		Transport: &http.Transport{DialContext: lab.Host(netlab.VPS).Dial},
		ErrorLog:  silence,
	}
}

// silence is for what browsers cut off.
var silence = log.New(io.Discard, "", 0)

// visit is one client's part of the test: both browsers on its page.
type visit struct {
	t           *testing.T
	s           *scene
	left, right *browser.Browser
	relayed     float64 // by then
}

// open opens a page in both browsers, as left and as right.
func (s *scene) open(t *testing.T, page string) *visit {
	t.Helper()
	v := &visit{t: t, s: s, left: s.left.In(t), right: s.right.In(t), relayed: s.relayed()}
	for host, b := range v.both() {
		b.Goto(fmt.Sprintf("https://%s:%s/?%s#%s", name, pagesPort, page, host))
	}
	// The next client starts from nothing, and what this one has open ends.
	t.Cleanup(func() {
		for _, b := range v.both() {
			_ = b.TryGoto("about:blank")
		}
	})
	return v
}

func (v *visit) both() map[string]*browser.Browser {
	return map[string]*browser.Browser{netlab.Left: v.left, netlab.Right: v.right}
}

// relayed is the payload that the daemon has relayed, in bytes.
func (s *scene) relayed() float64 { return s.icebox.Metric("icebox_turn_relayed_bytes_total") }

// says waits for the page's word for how it stands.
func says(b *browser.Browser, word string) {
	b.WaitFor("the word "+word, `return document.querySelector("#state").textContent === args`, word, patience)
}

// text waits for what the page has been told by the other.
func text(b *browser.Browser, want string) {
	b.WaitFor("the text "+want, `return document.querySelector("#text").value === args`, want, patience)
}

// pictures waits until both see each other, and looks at the way that pictures take.
func (v *visit) pictures() {
	v.t.Helper()
	if !v.seen(patience) {
		v.t.Logf("left: %q", candidates(v.left))
		v.t.Logf("right: %q", candidates(v.right))
		v.t.Fatalf("no picture within %s", patience)
	}
	v.throughRelay()
}

// seen says whether both see each other in time.
func (v *visit) seen(within time.Duration) bool {
	v.t.Helper()
	const moves = `const v = document.querySelector("#theirs"); return v.videoWidth > 0 && v.currentTime > 0.5`
	return v.left.Becomes(moves, nil, within) && v.right.Becomes(moves, nil, within)
}

// candidates is what a browser knows of its connections.
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

// throughRelay expects both browsers to have selected a pair with a relay in it, and the daemon to have relayed bytes.
func (v *visit) throughRelay() {
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
			v.t.Errorf("%s: the selected pair is %v, want a relay in it", host, pair)
		}
	}
	if v.s.relayed() <= v.relayed {
		v.t.Error("the daemon has relayed nothing")
	}
}
