package daemon

import (
	"fmt"
	"net"
	"strings"
	"time"
)

// notify reports the state of the daemon to the service manager.
func (d *Daemon) notify(state ...string) error { return notify(d.options.NotifySocket, state...) }

// notify sends state to the service manager's socket, see sd_notify(3). Without a socket it does nothing.
func notify(socket string, state ...string) error {
	if socket == "" {
		return nil
	}
	if name, ok := strings.CutPrefix(socket, "@"); ok {
		socket = "\x00" + name
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify service manager: %w", err)
	}
	defer func() { _ = c.Close() }()
	if err := c.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		return fmt.Errorf("notify service manager: %w", err)
	}
	if _, err := c.Write([]byte(strings.Join(state, "\n"))); err != nil {
		return fmt.Errorf("notify service manager: %w", err)
	}
	return nil
}
