package server

import (
	"context"
	"net"
	"testing"
	"time"
)

// StartPeer starts coturn's UDP echo peer.
func StartPeer(t testing.TB, host, port string) *Process {
	t.Helper()
	p := start(t, "turnutils_peer", Here.Command(context.Background(), "turnutils_peer", "-L", host, "-p", port))
	p.await(echoing(net.JoinHostPort(host, port)))
	return p
}

// echoing is a check for await: a datagram to address must come back.
func echoing(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		c, err := Here.Dial(ctx, "udp", address)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
			return err
		}
		if _, err := c.Write([]byte("are you there")); err != nil {
			return err
		}
		_, err = c.Read(make([]byte, 64))
		return err
	}
}
