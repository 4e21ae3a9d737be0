package server

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// StartHAProxy starts Debian's HAProxy, which forwards connections from each local port in ports to
// another one. It sends the client's address in the version of the PROXY protocol that send names:
// send-proxy or send-proxy-v2.
func StartHAProxy(t testing.TB, send string, ports map[int]int) *Process {
	t.Helper()
	var conf strings.Builder
	conf.WriteString("defaults\n\tmode tcp\n\ttimeout connect 10s\n\ttimeout client 60s\n\ttimeout server 60s\n")
	for from, to := range ports {
		fmt.Fprintf(&conf, "listen port%d\n\tbind 127.0.0.1:%d\n\tserver icebox 127.0.0.1:%d %s\n", from, from, to, send)
	}
	file := write(t, filepath.Join(t.TempDir(), "haproxy.cfg"), conf.String())
	p := start(t, "haproxy", Here.Command(context.Background(), "haproxy", "-W", "-db", "-f", file))
	for from := range ports {
		p.await(listening(Here, fmt.Sprintf("127.0.0.1:%d", from)))
	}
	return p
}
