package loopback

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"icebox/deploy/e2e/abuse/turn"
	"icebox/deploy/e2e/server"
)

// TestAioice keeps a channel of Debian's aioice in use for longer than a permission lasts, which is 300 s. aioice binds the
// channel again after 500 s and sends no CreatePermission, so only the channel itself can keep its peer permitted.
func TestAioice(t *testing.T) {
	t.Parallel()
	const seconds = 320
	b := startBox(t, server.FreePorts(t), server.FreePort(t), "")
	const host = "127.0.0.9"
	port := strconv.Itoa(server.FreePort(t))
	server.StartPeer(t, host, port)
	login := turn.Mint(secret, "aioice")
	script := filepath.Join(server.Root(), "deploy", "e2e", "loopback", "aioice_channel.py")
	// Debian's own Python, which is the one that sees Debian's packages.
	out, err := toolFor(t, (seconds+60)*time.Second, "/usr/bin/python3", script, strconv.Itoa(b.Plain), login.User, login.Password, host, port, strconv.Itoa(seconds))
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if n, err := strconv.Atoi(strings.TrimSpace(out)); err != nil || n < seconds/2 {
		t.Errorf("%q messages came back, want %d or more", out, seconds/2)
	}
}
