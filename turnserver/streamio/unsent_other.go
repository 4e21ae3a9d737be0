//go:build !linux

package streamio

import "net"

// LimitUnsent limits the kernel's send buffer on Linux only.
func LimitUnsent(net.Conn) {}
