package link

import (
	"icebox/cmd/iceload/batch"
)

// Sizes of a batch of datagrams, and of a socket's buffers in the kernel.
const (
	batchSize    = 64
	sharedBuffer = 64 << 20
	ownBuffer    = 4 << 20
)

// sender collects datagrams for one socket after the other.
type sender struct {
	w      *batch.Writer
	socket *batch.Socket
}

func newSender(size int) sender { return sender{w: batch.NewWriter(batchSize, size)} }

// message returns the room for a datagram to d through socket s.
func (s *sender) message(socket *batch.Socket, d *batch.Dest, size int) []byte {
	if socket != s.socket {
		s.flush()
		s.socket = socket
	}
	if b := s.w.Add(d, size); b != nil {
		return b
	}
	s.flush()
	return s.w.Add(d, size)
}

func (s *sender) flush() {
	if s.w.Waiting() {
		s.w.Flush(s.socket)
	}
}

// room is how many bytes of arena each datagram of a batch has: with segments, a
// batch of messages is a batch of runs.
func room(size int, segment bool) int {
	if segment {
		return 8 * size
	}
	return size
}
