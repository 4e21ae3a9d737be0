package calls

import (
	"os"
	"testing"
	"time"

	"icebox/deploy/e2e/server"
)

// back is how soon media have to pass again once they can: 10 s are what icebox promises, and what E2E_STRICT holds it to;
// browsers that share two slow processors with other tests are given three times as long.
var back = 30 * time.Second

func init() {
	if os.Getenv("E2E_STRICT") != "" {
		back = 10 * time.Second
	}
}

// both are the browsers of a scene.
func (s *scene) both() []*phone { return []*phone{s.left, s.right} }

// decoded is how many frames a page has decoded, over a connection that may have no way at the moment. Chromium has no
// statistics of it for a moment while ICE restarts.
const decoded = `[...(await e2ePeers.at(-1).getStats()).values()].find((s) => s.type === "inbound-rtp" && s.kind === "video")?.framesDecoded`

// flows waits until both sides have decoded so many frames more, over the connection they began with, and nobody
// has pressed anything.
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
			s.t.Errorf("%s: %d connections were made for one call", p.name, peers)
		}
	}
}

// begin calls and waits for pictures on both sides.
func (s *scene) begin() {
	s.t.Helper()
	s.ring()
	for _, p := range s.both() {
		p.WaitFor("a picture", `return (document.querySelector("#tiles video")?.videoWidth ?? 0) > 0`, nil, patience)
	}
}

// TestRestart kills the daemon in a relayed call and starts it again later: the browsers sign in anew, find each
// other in the call that the new process knows nothing of, and get relayed addresses.
func TestRestart(t *testing.T) {
	t.Parallel()
	s := setUp(t, variant{})
	s.signIn("")
	s.begin()
	s.icebox.Kill()
	s.left.rest(8 * time.Second) // until ICE has noticed
	s.icebox = server.StartIcebox(t, s.options)
	s.flows(time.Now(), 10)
	s.hangUp()
}

// TestCut takes the left side's line away for longer than ICE bears, and then for longer than the server keeps
// a session.
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

// TestWithoutWebSocket has an Nginx in between that breaks WebSockets, as many do: signalling goes over events, and recovers
// as well.
func TestWithoutWebSocket(t *testing.T) {
	t.Parallel()
	s := setUp(t, variant{nginx: true, deaf: true})
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
