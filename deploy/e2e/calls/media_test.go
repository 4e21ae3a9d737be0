package calls

import (
	"testing"
	"time"

	"icebox/deploy/e2e/netlab"
)

const (
	patience = time.Minute     // for each step that should take a moment, on a slow machine
	window   = 5 * time.Second // how long media are observed
	frames   = 25              // frames that must be decoded in a window, half of what the cameras send
)

// inCall reports whether the page shows a connected call.
const inCall = `return document.querySelector("main").dataset.call === "in-call"`

// view is a browser's statistics of its call.
type view struct {
	Frames         int
	Sent, Received float64 // bytes over the selected pair, without STUN messages
	Local, Remote  string  // candidate types of the selected pair
	Relay          string  // transport to the relay, when Local is "relay"
}

// look returns the browser's statistics for the connection that the page created last.
func (p *phone) look() view {
	var v view
	p.Run(`
		const stats = await e2ePeers.at(-1).getStats();
		const all = [...stats.values()];
		const transport = all.find((s) => s.type === "transport");
		const pair = stats.get(transport.selectedCandidatePairId);
		const local = stats.get(pair.localCandidateId), remote = stats.get(pair.remoteCandidateId);
		const video = all.find((s) => s.type === "inbound-rtp" && s.kind === "video");
		return {
			Frames: video?.framesDecoded ?? 0, Sent: pair.bytesSent, Received: pair.bytesReceived,
			Local: local.candidateType, Remote: remote.candidateType, Relay: local.relayProtocol ?? "",
		};`, nil, &v)
	return v
}

// rest waits for d, by the browser's clock.
func (p *phone) rest(d time.Duration) {
	p.Run(`await new Promise((r) => setTimeout(r, args))`, d.Milliseconds(), nil)
}

// traffic is what happened in one window.
type traffic struct {
	left, right view                          // at the end of the window
	media       float64                       // bytes that both browsers received
	relayed     map[string]float64            // the daemon's payload bytes, by transport
	network     map[netlab.Class]netlab.Count // what inet counted
}

var transports = []string{"udp", "tcp", "tls", "dtls"}

// watch connects the call, observes one window of it, and checks everything that must hold for
// every call.
func (s *scene) watch() traffic {
	s.t.Helper()
	begun := time.Now()
	s.ring()
	for _, p := range []*phone{s.left, s.right} {
		p.WaitFor("the call", inCall, nil, patience)
	}
	for _, p := range []*phone{s.left, s.right} {
		p.WaitFor("a picture", `return document.querySelector("#tiles video").videoWidth > 0`, nil, patience)
	}
	s.t.Logf("from the click on Call to video on both sides: %d ms", time.Since(begun).Milliseconds())

	relayed, network := s.relayed(), s.lab.Counts()
	left, right := s.left.look(), s.right.look()
	s.right.rest(window)
	w := traffic{left: s.left.look(), right: s.right.look(), relayed: s.relayed(), network: s.lab.Counts()}
	w.media = w.left.Received - left.Received + w.right.Received - right.Received
	for transport, before := range relayed {
		w.relayed[transport] -= before
	}
	for class, before := range network {
		now := w.network[class]
		w.network[class] = netlab.Count{Packets: now.Packets - before.Packets, Bytes: now.Bytes - before.Bytes}
	}
	s.check(w, left, right)
	return w
}

// check checks that video moved on both sides, that it went through a relay, and that the daemon
// counted the bytes.
func (s *scene) check(w traffic, left, right view) {
	s.t.Helper()
	for host, v := range map[string][2]view{"left": {left, w.left}, "right": {right, w.right}} {
		if got := v[1].Frames - v[0].Frames; got < frames {
			s.t.Errorf("%s decoded %d frames in %s, want at least %d", host, got, window, frames)
		}
		if v[1].Local != "relay" && v[1].Remote != "relay" {
			s.t.Errorf("%s: the selected pair is %s and %s, want a relay candidate", host, v[1].Local, v[1].Remote)
		}
	}
	// If both sides use a relay, the daemon counts each byte twice: on its way to the peer and on
	// its way from it.
	legs := 1.0
	if w.left.Local == "relay" && w.right.Local == "relay" {
		legs = 2
	}
	sum := 0.0
	for _, bytes := range w.relayed {
		sum += bytes
	}
	if sum < 0.9*legs*w.media {
		s.t.Errorf("the browsers received %.0f bytes in all, of which the daemon relayed %.0f: want at least 90 %%", w.media, sum/legs)
	}
	if n := w.network[netlab.Other].Packets; n != 0 {
		s.t.Errorf("%d packets on the network belonged to no port of icebox", n)
	}
	s.t.Logf("media %.0f bytes, relayed %v, pairs %s-%s and %s-%s, network %v",
		w.media, w.relayed, w.left.Local, w.left.Remote, w.right.Local, w.right.Remote, w.network)
}

// relayed returns the daemon's counts of payload bytes, in both directions, by transport.
func (s *scene) relayed() map[string]float64 {
	s.t.Helper()
	sums := map[string]float64{}
	for _, transport := range transports {
		sums[transport] = s.icebox.Metric("icebox_turn_relayed_bytes_total", `transport="`+transport+`"`)
	}
	return sums
}

// only checks that everything that was relayed came over one transport, by the daemon's counters
// and by the network's.
func (w traffic) only(t *testing.T, transport string, class netlab.Class) {
	t.Helper()
	for other, bytes := range w.relayed {
		if other != transport && bytes != 0 {
			t.Errorf("the daemon relayed %.0f bytes over %s, want bytes over %s only", bytes, other, transport)
		}
	}
	for _, other := range []netlab.Class{netlab.TURNUDP, netlab.TURNTCP, netlab.TLS, netlab.DTLS, netlab.Relay} {
		if n := w.network[other].Packets; other != class && n != 0 {
			t.Errorf("%d packets of %s on the network, want %s only", n, other, class)
		}
	}
	if got := float64(w.network[class].Bytes); got < 0.9*w.media {
		t.Errorf("%.0f bytes of %s on the network for %.0f bytes of media", got, class, w.media)
	}
}

// hangUp ends the call on the left and waits until both pages show that.
func (s *scene) hangUp() {
	s.t.Helper()
	s.left.Click("#hang-up")
	for _, p := range []*phone{s.left, s.right} {
		p.WaitFor("the end of the call", `return document.querySelector("main").dataset.call === "idle"`, nil, patience)
	}
}
