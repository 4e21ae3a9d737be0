// Package clients proves that other people's WebRTC clients work against icebox as they come from npm, by a change of URL: two
// browsers behind symmetric NATs open pages of ours (pages/) that use PeerJS, the PocketBase SDK, y-webrtc, Trystero and
// simple-peer as their documentation shows, and nothing gets from one to the other but through icebox's relay. The pages come
// from another origin than icebox, as they would, but PocketBase's: its SDK cancels requests that it has not sent yet, and before it
// sends one to another origin for the first time, the browser asks for permission. See package netlab for the network.
package clients

import (
	"os"
	"testing"

	"icebox/deploy/e2e/sandbox"
)

func TestMain(m *testing.M) { os.Exit(sandbox.Run(m)) }

// name is what the browsers call icebox.
const name = "icebox.test"

const (
	pagesPort   = "8443"           // where the pages are, on the same host
	iceboxPlain = "127.0.0.1:8080" // icebox for what is in front of it
)
