package calls

import (
	"testing"

	"icebox/deploy/e2e/netlab"
)

// TestPoolStaysBelowQuota gathers with an iceCandidatePoolSize of 10 against all of the daemon's URIs over both address
// families, as greedy as a page can be: the default quotas of a user and of an address let it.
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
		t.Errorf("%d URIs, want four", made)
	}
	if n := s.icebox.Metric("icebox_turn_sessions"); n < 6 {
		t.Errorf("%v allocations are alive: the page did not gather over every transport and family", n)
	} else {
		t.Logf("%v allocations for one page", n)
	}
	if n := s.icebox.Metric("icebox_turn_error_responses_total", `code="486"`); n != 0 {
		t.Errorf("the quota was met %v times", n)
	}
}
