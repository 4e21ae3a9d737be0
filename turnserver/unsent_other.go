//go:build !linux

package turnserver

import "net"

// limitUnsent does something on Linux only.
func limitUnsent(net.Conn) {}
