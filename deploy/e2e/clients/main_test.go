// Package clients proves that other people's WebRTC clients work against icebox as they come from npm, by a change of URL: two
// browsers behind symmetric NATs open pages of ours (pages/) that use PeerJS, the PocketBase SDK, y-webrtc, Trystero and
// simple-peer as their documentation shows, and nothing gets from one to the other but through icebox's relay. The pages come
// from another origin than icebox, as they would. See package netlab for the network.
package clients

import (
	"os"
	"testing"

	"icebox/deploy/e2e/sandbox"
)

func TestMain(m *testing.M) { os.Exit(sandbox.Run(m)) }

// name is what the browsers call icebox.
const name = "icebox.test"

// pagesPort is where the pages are, on the same host.
const pagesPort = "8443"
