// Package calls proves the main job: two browsers, each behind a symmetric NAT, sign in by name over https, call each other
// on the page that icebox serves, and see each other through icebox's relay. See package netlab for the network.
package calls

import (
	"os"
	"testing"

	"icebox/deploy/e2e/sandbox"
)

func TestMain(m *testing.M) { os.Exit(sandbox.Run(m)) }

// name is what the clients call icebox.
const name = "icebox.test"
