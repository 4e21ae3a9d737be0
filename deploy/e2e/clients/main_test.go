// Package clients tests that other projects' WebRTC clients work with icebox as they come from npm,
// with a different URL. Two browsers behind symmetric NATs open our pages (in pages/), which use
// PeerJS, the PocketBase SDK, y-webrtc, Trystero and simple-peer as their documentation shows.
// Nothing reaches one browser from the other except through icebox's relay.
//
// As on a real site, the pages have another origin than icebox. The PocketBase page is the
// exception. Its SDK cancels requests that have not been sent yet, and before the first request to
// another origin the browser sends a preflight request, which delays it.
//
// Package netlab describes the network.
package clients

import (
	"os"
	"testing"

	"icebox/deploy/e2e/sandbox"
)

func TestMain(m *testing.M) { os.Exit(sandbox.Run(m)) }

// name is the host name that the browsers use for icebox.
const name = "icebox.test"

const (
	pagesPort   = "8443"           // port of the pages, on the same host
	iceboxPlain = "127.0.0.1:8080" // icebox without TLS, for the proxy in servePages
)
