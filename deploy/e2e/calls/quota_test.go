package calls

import (
	"testing"

	"icebox/deploy/e2e/netlab"
)

// TestPoolStaysBelowQuota gathers candidates as greedily as a page can: with an
// iceCandidatePoolSize of 10, all of the daemon's URIs, and both address families. The default
// quotas per user and per address must allow it.
func TestPoolStaysBelowQuota(t *testing.T) {
	t.Parallel()
	s := setUp(t, variant{lab: netlab.Options{}})
	var made int
	s.left.Goto("https://" + name + "/trickle-ice/")
	s.left.Run(`
		const answer = await (await fetch("/ice", { method: "POST" })).json();
		const peer = new RTCPeerConnection({ iceServers: answer.iceServers, iceCandidatePoolSize: 10 });
		peer.createDataChannel("pool");
		peer.addTransceiver("audio");
		peer.addTransceiver("video");
		const failures = [];
		peer.onicecandidateerror = (e) => failures.push(e.errorCode);
		const done = new Promise((resolve) => { peer.onicegatheringstatechange = () => peer.iceGatheringState === "complete" && resolve(); });
		await peer.setLocalDescription();
		await done;
		window.pool = peer;
		if (failures.includes(486)) throw new Error("allocation quota reached");
		return answer.iceServers.flatMap((s) => s.urls).length;`, nil, &made)
	if made < 4 {
		t.Errorf("the page got %d URIs, want at least 4", made)
	}
	if n := s.icebox.Metric("icebox_turn_sessions"); n < 6 {
		t.Errorf("only %v allocations exist: the page did not gather over every transport and address family", n)
	} else {
		t.Logf("%v allocations for one page", n)
	}
	if n := s.icebox.Metric("icebox_turn_error_responses_total", `code="486"`); n != 0 {
		t.Errorf("the daemon refused %v allocations because of a quota", n)
	}
}
