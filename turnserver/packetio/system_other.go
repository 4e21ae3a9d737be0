//go:build !linux

package packetio

import (
	"net"
	"net/netip"
)

// CanDontFragment tells whether Packet.DontFragment is obeyed.
const CanDontFragment = false

// New returns the loops that are best for this system.
func New(int) Loops { return Portable() }

// Share returns sockets on the address of c, one for each of n workers if the
// system can tell clients apart for them; else c alone.
func Share(c *net.UDPConn, _ int) []*net.UDPConn { return []*net.UDPConn{c} }

func dontFragment(*net.UDPConn, netip.AddrPort, bool) bool { return false }

// batch is of no use here: packets go out at once.
type batch struct{}

func (*batch) detach(*Packet) {}
