package sockets

import (
	"icebox/cmd/iceload/batch"
)

// Sizes of a batch of datagrams, and of a socket's buffers in the kernel.
const (
	batchSize    = 64
	sharedBuffer = 64 << 20
	singleBuffer = 4 << 20
)

// sender collects datagrams for one socket after the other.
type datagramSender struct {
	writer *batch.Writer
	socket *batch.Socket
}

func newSender(size int) datagramSender {
	return datagramSender{writer: batch.NewWriter(batchSize, size)}
}

// message returns the room for a datagram to d through socket s.
func (s *datagramSender) queueDatagram(socket *batch.Socket, d *batch.Dest, size int) []byte {
	if socket != s.socket {
		s.flush()
		s.socket = socket
	}
	if b := s.writer.AddDatagram(d, size); b != nil {
		return b
	}
	s.flush()
	return s.writer.AddDatagram(d, size)
}

func (s *datagramSender) flush() {
	if s.writer.HasPending() {
		s.writer.Flush(s.socket)
	}
}

// room is how many bytes of arena each datagram of a batch has: with segments, a
// batch of messages is a batch of runs.
func arenaPerDatagram(size int, segment bool) int {
	if segment {
		return 8 * size
	}
	return size
}
