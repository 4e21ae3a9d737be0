package calls

import (
	"fmt"
	"testing"
	"time"

	"icebox/deploy/e2e/netlab"
)

// TestCall makes a call with nothing in the way but the NATs. In a second call it kills the daemon,
// and the video must stop, because nothing but the relay carries it.
func TestCall(t *testing.T) {
	t.Parallel()
	s := setUp(t, variant{})
	s.signIn("")
	w := s.watch()
	if w.relayed["udp"] == 0 {
		t.Errorf("relayed %v, want UDP, which is the best available transport", w.relayed)
	}
	s.hangUp()

	s.watch()
	s.icebox.Kill()
	s.left.rest(2 * time.Second) // packets in flight still arrive and are decoded
	before := [2]int{s.left.look().Frames, s.right.look().Frames}
	s.left.rest(2 * time.Second)
	if after := [2]int{s.left.look().Frames, s.right.look().Frames}; after != before {
		t.Errorf("the number of decoded frames rose from %v to %v without a relay", before, after)
	}
}

// TestOnlyTransport lets the clients' routers pass only the page and one transport to the relay.
func TestOnlyTransport(t *testing.T) {
	t.Parallel()
	for transport, c := range map[string]struct {
		allow string
		class netlab.Class
	}{
		"tcp": {"tcp dport 3478", netlab.TURNTCP},
		"tls": {"tcp dport 5349", netlab.TLS},
	} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			s := setUp(t, variant{lab: netlab.Options{Allow: []string{"tcp dport 443", c.allow}}})
			s.signIn("")
			s.watch().only(t, transport, c.class)
			s.hangUp()
		})
	}
}

// onlyUDP is what the clients' routers pass when the relay must be reached over UDP. Without the
// filter, browsers may try TCP as well.
var onlyUDP = []string{"tcp dport 443", "udp dport 3478"}

// TestIPv6Only uses clients that have no IPv4 address.
func TestIPv6Only(t *testing.T) {
	t.Parallel()
	s := setUp(t, variant{lab: netlab.Options{NoV4: true, Allow: onlyUDP}})
	s.signIn("")
	s.watch().only(t, "udp", netlab.TURNUDP)
	s.hangUp()
	if n := s.lab.Counts()[netlab.IPv4].Packets; n != 0 {
		t.Errorf("there were %d IPv4 packets on the network, want none", n)
	}
}

// TestBehindNAT runs icebox behind a 1:1 NAT that drops hairpinned packets. Both sides use relay
// candidates only, so the daemon must hand packets from one relayed address to the other inside the
// process.
func TestBehindNAT(t *testing.T) {
	t.Parallel()
	s := setUp(t, variant{
		lab:    netlab.Options{Cloud: true, Allow: onlyUDP},
		config: fmt.Sprintf("external_ip: [{public: %s, private: %s}]", netlab.PublicV4, netlab.PrivateV4),
	})
	s.signIn("?policy=relay")
	w := s.watch()
	w.only(t, "udp", netlab.TURNUDP)
	for host, v := range map[string]view{"left": w.left, "right": w.right} {
		if v.Local != "relay" || v.Remote != "relay" {
			t.Errorf("%s: the selected pair is %s and %s, want two relay candidates", host, v.Local, v.Remote)
		}
	}
	if n := s.lab.Counts()[netlab.Hairpin].Packets; n != 0 {
		t.Errorf("the daemon sent %d packets to its own public address", n)
	}
	s.hangUp()
}

// TestThroughNginx puts Debian's Nginx, with the shipped site, in front of the pages and the
// signalling.
func TestThroughNginx(t *testing.T) {
	t.Parallel()
	s := setUp(t, variant{nginx: true})
	s.signIn("")
	s.watch()
	s.hangUp()
}

// TestNoRelay checks that the other tests really need the relay. The daemon has none, the browsers
// learn their public addresses by STUN, and the network carries packets from one NAT to the other.
// The NATs alone must prevent the call.
func TestNoRelay(t *testing.T) {
	t.Parallel()
	s := setUp(t, variant{
		lab:    netlab.Options{Direct: true},
		config: "turn: {listen: []}\nhttp: {listen: [{address: \":443\", tls: true, stun: true}]}",
	})
	s.signIn("")
	s.ring()
	s.left.WaitFor("a reflexive candidate", `
		const stats = await e2ePeers.at(-1)?.getStats() ?? new Map();
		return [...stats.values()].some((s) => s.type === "local-candidate" && s.candidateType === "srflx")`, nil, patience)
	for _, p := range []*phone{s.left, s.right} {
		p.WaitFor("ICE to give up", `return e2ePeers.some((p) => p.iceConnectionState === "failed" || p.iceConnectionState === "closed")`, nil, 60*time.Second)
	}
	if s.lab.Counts()[netlab.Between].Packets == 0 {
		t.Errorf("the browsers sent each other no packets")
	}
	if s.left.Becomes(inCall, nil, 0) || s.right.Becomes(inCall, nil, 0) {
		t.Errorf("the call was connected without a relay")
	}
}
