//go:build !linux

package packetio

import (
	"errors"
	"net"
	"net/netip"
)

// CanDontFragment reports whether Packet.DontFragment works on this system.
const CanDontFragment = false

// New returns the fastest Loops for this system.
func New(int) Loops { return Portable() }

// Share returns c alone. On Linux it returns a socket for each worker.
func Share(c *net.UDPConn, _ int) []*net.UDPConn { return []*net.UDPConn{c} }

func dontFragment(*net.UDPConn, netip.AddrPort, bool) bool { return false }

// Batch holds only Flushers on this system, because packets are sent at once.
type Batch struct{ deferred }

// Flush calls all Flushers.
func (b *Batch) Flush() { b.flushDeferred() }

func (*Batch) init()              {}
func (*Batch) sharesBuffer() bool { return false }
func (*Batch) detach(*Packet)     {}

// DirectStreams reports whether Receive and Transmit work on this system.
const DirectStreams = false

// Receive returns errors.ErrUnsupported.
func Receive(uintptr, []byte) (n int, again bool, err error) { return 0, false, errors.ErrUnsupported }

// Transmit writes nothing.
func Transmit(uintptr, []byte) (n int, err error) { return 0, nil }
