package clients

import (
	"testing"
)

// config has every adapter on the one listener.
const config = `
http:
  listen:
    - address: ":443"
      tls: true
`

// TestClients has each client in turn on the same network.
func TestClients(t *testing.T) {
	s := setUp(t, config)
	t.Run("simple-peer", s.simplePeer)
}

// simplePeer runs the page that the SDK's README shows.
func (s *scene) simplePeer(t *testing.T) {
	v := s.open(t, "simple-peer")
	for _, b := range v.both() {
		b.WaitFor("our own picture", `return document.querySelector("#mine").videoWidth > 0`, nil, patience)
	}
	v.left.Fill("#other", "right")
	v.left.Click("#call")
	v.pictures()
	v.right.Click("#hang-up")
	v.left.WaitFor("the end of the call", `return document.querySelector("#theirs").srcObject === null`, nil, patience)
}
