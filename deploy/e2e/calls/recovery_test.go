package calls

import (
	"os"
	"testing"
	"time"

	"icebox/deploy/e2e/server"
)

// back is how soon media must flow again once they can. icebox promises 10 s, which E2E_STRICT
// enforces. Otherwise the limit is 30 s, because the browsers share two slow processors with other
// tests.
var back = 30 * time.Second

func init() {
	if os.Getenv("E2E_STRICT") != "" {
		back = 10 * time.Second
	}
}

// both returns the scene's browsers.
func (s *scene) both() []*phone { return []*phone{s.left, s.right} }

// decoded is an expression for the number of frames that a page has decoded over its last
// connection, which may be interrupted. It is undefined for a moment while ICE restarts, because
// Chromium then has no statistics.
const decoded = `[...(await e2ePeers.at(-1).getStats()).values()].find((s) => s.type === "inbound-rtp" && s.kind === "video")?.framesDecoded`

// flows waits until both sides have decoded that many more frames. They must use the connection
// they started with, and nobody may have clicked anything.
func (s *scene) flows(since time.Time, more int) {
	s.t.Helper()
	counted := map[*phone]int{}
	for _, p := range s.both() {
		p.WaitFor("statistics", "return "+decoded+" !== undefined", nil, back-time.Since(since))
		var n int
		p.Run("return "+decoded, nil, &n)
		counted[p] = n
	}
	for _, p := range s.both() {
		p.WaitFor("media again", "return "+decoded+" >= args", counted[p]+more, back-time.Since(since))
		s.t.Logf("%s: media again after %d ms", p.name, time.Since(since).Milliseconds())
	}
	for _, p := range s.both() {
		p.WaitFor("the call", inCall, nil, patience)
		var peers int
		p.Run(`return e2ePeers.length`, nil, &peers)
		if peers != 1 {
			s.t.Errorf("%s created %d connections for one call, want 1", p.name, peers)
		}
	}
}

// begin makes a call and waits for video on both sides.
func (s *scene) begin() {
	s.t.Helper()
	s.ring()
	for _, p := range s.both() {
		p.WaitFor("a picture", `return (document.querySelector("#tiles video")?.videoWidth ?? 0) > 0`, nil, patience)
	}
}

// TestRestart kills the daemon during a relayed call and starts it again later. The browsers must
// sign in again, find each other in a call that the new process does not know, and get new relayed
// addresses.
func TestRestart(t *testing.T) {
	t.Parallel()
	s := setUp(t, variant{})
	s.signIn("")
	s.begin()
	s.icebox.Kill()
	s.left.rest(8 * time.Second) // until ICE has noticed the loss
	s.icebox = server.StartIcebox(t, s.options)
	s.flows(time.Now(), 10)
	s.hangUp()
}

// TestCut cuts the left side's line, first for longer than ICE tolerates, and then for longer than
// the server keeps a session.
func TestCut(t *testing.T) {
	t.Parallel()
	s := setUp(t, variant{})
	s.signIn("")
	s.begin()
	for _, d := range []time.Duration{12 * time.Second, 38 * time.Second} {
		s.lab.Cut(s.left.name)
		for _, p := range s.both() {
			p.WaitFor("the interruption", `return document.querySelector("main").dataset.call === "interrupted"`, nil, patience)
		}
		s.right.rest(d)
		s.lab.Mend(s.left.name)
		s.flows(time.Now(), 10)
	}
	s.hangUp()
}

// TestWithoutWebSocket puts an Nginx in between that breaks WebSockets, as many proxies do.
// Signalling must use server-sent events, and recover as well.
func TestWithoutWebSocket(t *testing.T) {
	t.Parallel()
	s := setUp(t, variant{nginx: true, noWebSocket: true})
	s.signIn("")
	for _, p := range s.both() {
		p.WaitFor("events", `return document.querySelector("main").dataset.transport === "events"`, nil, patience)
	}
	s.begin()
	s.icebox.Kill()
	s.icebox = server.StartIcebox(t, s.options)
	s.flows(time.Now(), 10)
	s.hangUp()
}
