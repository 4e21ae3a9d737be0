package calls

import (
	"fmt"
	"testing"
	"time"

	"icebox/deploy/e2e/netlab"
)

// TestCall is the call as it comes: nothing filtered but by the NATs. Afterwards the daemon is killed in a second
// call, and with it the pictures stop: nothing else carried them.
func TestCall(t *testing.T) {
	t.Parallel()
	s := setUp(t, variant{})
	s.signIn("")
	w := s.watch()
	if w.relayed["udp"] == 0 {
		t.Errorf("relayed %v, want UDP, which is the best of what there is", w.relayed)
	}
	s.hangUp()

	s.watch()
	s.icebox.Kill()
	s.left.rest(2 * time.Second) // what was on its way arrives and is shown
	before := [2]int{s.left.look().Frames, s.right.look().Frames}
	s.left.rest(2 * time.Second)
	if after := [2]int{s.left.look().Frames, s.right.look().Frames}; after != before {
		t.Errorf("frames decoded went from %v to %v without a relay", before, after)
	}
}

// TestOnlyTransport filters at the clients' routers all but the page and one way to the relay.
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

// onlyUDP is what the clients' routers let out where the relay is to be reached over UDP: browsers may try TCP as well.
var onlyUDP = []string{"tcp dport 443", "udp dport 3478"}

// TestIPv6Only has clients without any IPv4.
func TestIPv6Only(t *testing.T) {
	t.Parallel()
	s := setUp(t, variant{lab: netlab.Options{NoV4: true, Allow: onlyUDP}})
	s.signIn("")
	s.watch().only(t, "udp", netlab.TURNUDP)
	s.hangUp()
	if n := s.lab.Counts()[netlab.IPv4].Packets; n != 0 {
		t.Errorf("%d packets of IPv4 on the network", n)
	}
}

// TestBehindNAT has icebox behind a 1:1 NAT that drops hairpinned packets, and both sides use relays only: the packets
// of one relayed address for the other never leave the daemon.
func TestBehindNAT(t *testing.T) {
	t.Parallel()
	s := setUp(t, variant{
		lab:    netlab.Options{Cloud: true, Allow: onlyUDP},
		config: fmt.Sprintf("external_ip: [{public: %s, private: %s}]", netlab.PublicV4, netlab.PrivateV4),
	})
	s.signIn("?policy=relay")
	w := s.watch()
	w.only(t, "udp", netlab.TURNUDP)
	for who, v := range map[string]view{"left": w.left, "right": w.right} {
		if v.Local != "relay" || v.Remote != "relay" {
			t.Errorf("%s: the selected pair is %s and %s, want two relays", who, v.Local, v.Remote)
		}
	}
	if n := s.lab.Counts()[netlab.Hairpin].Packets; n != 0 {
		t.Errorf("the daemon sent %d packets to its own public address", n)
	}
	s.hangUp()
}

// TestThroughNginx has Debian's Nginx with the shipped site in front of the pages and of signalling.
func TestThroughNginx(t *testing.T) {
	t.Parallel()
	s := setUp(t, variant{nginx: true})
	s.signIn("")
	s.watch()
	s.hangUp()
}

// TestNoRelay shows that it is the relay that makes the difference: the daemon has none, the browsers learn their public
// addresses by STUN, and the network would carry packets from one NAT to the other. The NATs alone keep the call from coming about.
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
		t.Errorf("the browsers never tried to reach each other directly")
	}
	if s.left.Becomes(inCall, nil, 0) || s.right.Becomes(inCall, nil, 0) {
		t.Errorf("the call came about without a relay")
	}
}
