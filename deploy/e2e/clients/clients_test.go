package clients

import (
	"slices"
	"strings"
	"testing"

	"icebox/deploy/e2e/browser"
)

// config enables every protocol at its default path, and has two users for PocketBase.
const config = `
signal:
  pocketbase:
    users:
      - {identity: left@example.org, password: password of left}
      - {identity: right@example.org, password: password of right}
http:
  listen:
    - address: ":443"
      tls: true
      protocols: [peerjs, y-webrtc, trystero]
    - address: "127.0.0.1:8080"
      protocols: [pocketbase]
`

// TestClients runs each client in turn on the same network with the same daemon.
func TestClients(t *testing.T) {
	s := setUp(t, config)
	t.Run("simple-peer", s.simplePeer)
	t.Run("peerjs", s.peerJS)
	t.Run("y-webrtc", s.yWebRTC)
	t.Run("trystero", s.trystero)
	t.Run("pocketbase-0.19", func(t *testing.T) { s.pocketBase(t, "pocketbase-0.19") })
	t.Run("pocketbase-0.28", func(t *testing.T) { s.pocketBase(t, "pocketbase-0.28") })
}

// simplePeer runs the page from the SDK's README.
func (s *scene) simplePeer(t *testing.T) {
	v := s.openPages(t, "simple-peer")
	for _, b := range v.both() {
		b.WaitFor("the local video", `return document.querySelector("#mine").videoWidth > 0`, nil, patience)
	}
	v.left.Fill("#other", "right")
	v.left.Click("#call")
	v.waitForVideo()
	v.right.Click("#hang-up")
	waitForEnd(v.left)
}

// peerJS reconnects to the server under the same name, calls a name that does not exist, and makes
// a call with a data connection.
func (s *scene) peerJS(t *testing.T) {
	v := s.openPages(t, "peerjs")
	for host, b := range v.both() {
		waitForState(b, "open as "+host)
	}
	v.left.Run(`peer.connect("nobody")`, nil, nil)
	v.right.Run(`
		const open = new Promise((done) => peer.on("open", done));
		peer.disconnect();
		peer.reconnect();
		await open;`, nil, nil)
	v.left.Fill("#other", "right")
	v.left.Click("#call")
	v.waitForVideo()
	waitForText(v.right, "hello from left")
	// PeerJS reports the end of a call over a data channel of that call, which may open after the video is seen.
	for _, b := range v.both() {
		b.WaitFor("the channel that ends the call on the other side", `return window.closesOnRemote === true`, nil, patience)
	}
	v.left.Click("#hang-up")
	waitForState(v.right, "hung up")
	v.left.WaitFor("the error for the unknown name", `return failures.includes("peer-unavailable")`, nil, patience)
}

// yWebRTC merges two documents that were edited separately and then concurrently.
func (s *scene) yWebRTC(t *testing.T) {
	v := s.openPages(t, "y-webrtc")
	same := func(parts ...string) {
		t.Helper()
		var texts []string
		for _, b := range v.both() {
			b.WaitFor("all edits", `return args.every((part) => document.querySelector("#text").value.includes(part))`, parts, patience)
			var text string
			b.Run(`return document.querySelector("#text").value`, nil, &text)
			texts = append(texts, text)
		}
		if texts[0] != texts[1] {
			t.Errorf("the documents differ: %q and %q", texts[0], texts[1])
		}
	}
	same("left alone. ", "right alone. ")
	v.left.Run(`edit(args)`, "left again. ", nil)
	v.right.Run(`edit(args)`, "right again. ", nil)
	same("left alone. ", "right alone. ", "left again. ", "right again. ")
	v.throughRelay()
}

// trystero uses a room of two.
func (s *scene) trystero(t *testing.T) {
	v := s.openPages(t, "trystero")
	for _, b := range v.both() {
		waitForState(b, "joined")
	}
	v.waitForVideo()
	waitForText(v.left, "hello from right")
	waitForText(v.right, "hello from left")
	v.left.Click("#hang-up")
	waitForState(v.right, "left")
}

// pocketBase makes a call by ID, which must end for both sides when one hangs up.
func (s *scene) pocketBase(t *testing.T, page string) {
	v := s.openPages(t, page)
	for _, b := range v.both() {
		waitForText(b, "stun:"+name+":3478")
	}
	v.callByID()
	// The SDK cancels a request when the page makes another one of the same kind. On a busy machine
	// it can cancel all candidates of a side but the last one before they are sent, which no server
	// can repair. People would call again then.
	for try := 1; !v.videoPlays(patience / 3); try++ {
		left, right := candidates(v.left), candidates(v.right)
		if try == 4 || hasRemoteCandidate(left) && hasRemoteCandidate(right) {
			t.Fatalf("no video in call %d: left %q, right %q", try, left, right)
		}
		t.Logf("call %d: left %q, right %q", try, left, right)
		v.hangUp()
		v.callByID()
	}
	v.throughRelay()
	v.hangUp()
}

// hasRemoteCandidate reports whether at least one candidate of the other side has arrived.
func hasRemoteCandidate(candidates []string) bool {
	return slices.ContainsFunc(candidates, func(c string) bool { return strings.HasPrefix(c, "remote-candidate") })
}

func (v *clientTest) callByID() {
	v.t.Helper()
	for _, b := range v.both() {
		waitForState(b, "ready")
		b.Click("#camera")
		waitForState(b, "camera")
	}
	v.left.Click("#call")
	v.left.WaitFor("a call's ID", `return document.querySelector("#other").value !== ""`, nil, patience)
	var id string
	v.left.Run(`return document.querySelector("#other").value`, nil, &id)
	v.right.Fill("#other", id)
	v.right.Click("#answer")
}

// hangUp hangs up on the left. Both pages reload themselves.
func (v *clientTest) hangUp() {
	v.t.Helper()
	v.left.Click("#hang-up")
	for _, b := range v.both() {
		waitForState(b, "ready")
	}
}

func waitForEnd(b *browser.Browser) {
	b.WaitFor("the end of the call", `return document.querySelector("#theirs").srcObject === null`, nil, patience)
}
