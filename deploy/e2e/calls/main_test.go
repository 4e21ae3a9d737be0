// Package calls tests icebox's main purpose. Two browsers, each behind a symmetric NAT, sign in by
// name over HTTPS, call each other on the page that icebox serves, and see each other through
// icebox's relay. Package netlab describes the network.
package calls

import (
	"os"
	"testing"

	"icebox/deploy/e2e/sandbox"
)

func TestMain(m *testing.M) { os.Exit(sandbox.Run(m)) }

// name is the host name that the clients use for icebox.
const name = "icebox.test"
