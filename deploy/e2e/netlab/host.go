package netlab

import (
	"context"
	"net"
	"os/exec"

	"icebox/deploy/e2e/sandbox"
)

// Host is one host of a lab, on which programs can run.
type Host struct {
	lab  *Lab
	name string
}

// Host returns a host by its name: Left, Right, VPS or Inet.
func (l *Lab) Host(name string) Host { return Host{l, name} }

// Command prepares a command that runs on the host.
func (h Host) Command(ctx context.Context, argv ...string) *exec.Cmd {
	return h.lab.Command(ctx, h.name, argv...)
}

// Dial connects from the host.
func (h Host) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	var c net.Conn
	err := h.lab.Do(h.name, func() error {
		var err error
		c, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return c, err
}

// Do calls f on a thread in a host's network namespace; see sandbox.InNetwork.
func (l *Lab) Do(host string, f func() error) error {
	return sandbox.InNetwork("/run/netns/"+l.prefix+host, f)
}
