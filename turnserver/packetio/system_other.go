//go:build !linux

package packetio

import (
	"errors"
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

// Batch is of little use here: packets go out at once.
type Batch struct{ later }

// Flush flushes what was put off.
func (b *Batch) Flush() { b.flushLater() }

func (*Batch) init()          {}
func (*Batch) joins() bool    { return false }
func (*Batch) detach(*Packet) {}

// DirectStreams tells whether Receive and Transmit work.
const DirectStreams = false

// Receive is of no use here.
func Receive(uintptr, []byte) (n int, again bool, err error) { return 0, false, errors.ErrUnsupported }

// Transmit takes nothing here.
func Transmit(uintptr, []byte) (n int, err error) { return 0, nil }
