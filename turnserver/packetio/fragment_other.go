//go:build !linux

package packetio

// CanDontFragment tells whether Packet.DontFragment is obeyed.
const CanDontFragment = false

func (u *udp) dontFragment(bool) bool { return false }
