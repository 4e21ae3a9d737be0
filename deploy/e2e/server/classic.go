package server

import (
	"context"
	"net"
	"path/filepath"
	"strconv"
	"testing"
)

// StartClassic starts the tutorials' signalling server on Node.js, which icebox is to replace.
func StartClassic(t testing.TB, port int) *Process {
	t.Helper()
	script := filepath.Join(Root(), "deploy", "e2e", "classic", "server.mjs")
	p := start(t, "the classic server", Here.Command(context.Background(), "node", script, strconv.Itoa(port)))
	p.await(listening(Here, net.JoinHostPort("127.0.0.1", strconv.Itoa(port))))
	return p
}
