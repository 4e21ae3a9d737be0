package calls

import (
	"testing"
	"time"

	"icebox/deploy/e2e/netlab"
)

const (
	patience = time.Minute     // for what takes a moment, on a slow day
	window   = 5 * time.Second // media are watched for
	frames   = 25              // have to be decoded in a window, half of what the cameras have
)

// inCall is the page's own word for a connected call.
const inCall = `return document.querySelector("main").dataset.call === "in-call"`

// view is what a browser says of its call.
type view struct {
	Frames         int
	Sent, Received float64 // bytes over the selected pair, without ICE's own
	Local, Remote  string  // candidate types of the selected pair
	Relay          string  // transport to the relay, when Local is "relay"
}

// look reads a view. The statistics are the browser's own, of the connection that the page made last.
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

// rest lets time pass, by the browser's clock.
func (p *phone) rest(d time.Duration) {
	p.Run(`await new Promise((r) => setTimeout(r, args))`, d.Milliseconds(), nil)
}

// traffic is what one window brought.
type traffic struct {
	left, right view                          // at its end
	media       float64                       // bytes that both browsers received
	relayed     map[string]float64            // the daemon's payload bytes, by transport
	network     map[netlab.Class]netlab.Count // what inet saw
}

var transports = []string{"udp", "tcp", "tls", "dtls"}

// watch connects the call, watches one window of it, and checks what every call has to show.
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
	s.t.Logf("from the press of Call to both pictures: %d ms", time.Since(begun).Milliseconds())

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

// check: pictures moved on both sides, through a relay, and the daemon counted the bytes.
func (s *scene) check(w traffic, left, right view) {
	s.t.Helper()
	for who, v := range map[string][2]view{"left": {left, w.left}, "right": {right, w.right}} {
		if got := v[1].Frames - v[0].Frames; got < frames {
			s.t.Errorf("%s decoded %d frames in %s, want %d or more", who, got, window, frames)
		}
		if v[1].Local != "relay" && v[1].Remote != "relay" {
			s.t.Errorf("%s: the selected pair is %s and %s, want a relay", who, v[1].Local, v[1].Remote)
		}
	}
	// Both sides relayed: each byte is counted once on its way to the peer and once on its way from it.
	legs := 1.0
	if w.left.Local == "relay" && w.right.Local == "relay" {
		legs = 2
	}
	sum := 0.0
	for _, bytes := range w.relayed {
		sum += bytes
	}
	if sum < 0.9*legs*w.media {
		s.t.Errorf("the browsers received %.0f bytes in all, of which the daemon relayed %.0f: want 90 %% or more", w.media, sum/legs)
	}
	if n := w.network[netlab.Other].Packets; n != 0 {
		s.t.Errorf("%d packets on the network were none that icebox serves", n)
	}
	s.t.Logf("media %.0f bytes, relayed %v, pairs %s-%s and %s-%s, network %v",
		w.media, w.relayed, w.left.Local, w.left.Remote, w.right.Local, w.right.Remote, w.network)
}

// relayed are the daemon's own counts of payload bytes, both directions, by transport.
func (s *scene) relayed() map[string]float64 {
	s.t.Helper()
	sums := map[string]float64{}
	for _, transport := range transports {
		sums[transport] = s.icebox.Metric("icebox_turn_relayed_bytes_total", `transport="`+transport+`"`)
	}
	return sums
}

// only expects all that was relayed to have come over one transport, on the daemon's counters and on the network's.
func (w traffic) only(t *testing.T, transport string, class netlab.Class) {
	t.Helper()
	for other, bytes := range w.relayed {
		if other != transport && bytes != 0 {
			t.Errorf("the daemon relayed %.0f bytes over %s, want none but over %s", bytes, other, transport)
		}
	}
	for _, other := range []netlab.Class{netlab.TURNUDP, netlab.TURNTCP, netlab.TLS, netlab.DTLS, netlab.Relay} {
		if n := w.network[other].Packets; other != class && n != 0 {
			t.Errorf("%d packets of %s on the network, want none but %s", n, other, class)
		}
	}
	if got := float64(w.network[class].Bytes); got < 0.9*w.media {
		t.Errorf("%.0f bytes of %s on the network for %.0f bytes of media", got, class, w.media)
	}
}

// hangUp ends the call on the left; both pages have to notice.
func (s *scene) hangUp() {
	s.t.Helper()
	s.left.Click("#hang-up")
	for _, p := range []*phone{s.left, s.right} {
		p.WaitFor("the end of the call", `return document.querySelector("main").dataset.call === "idle"`, nil, patience)
	}
}
