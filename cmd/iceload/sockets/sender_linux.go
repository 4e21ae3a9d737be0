package sockets

import (
	"icebox/cmd/iceload/batch"
)

// Number of datagrams in a batch, and sizes of a socket's kernel buffers in bytes: of a socket that
// clients share, and of one that a single client uses.
const (
	batchSize    = 64
	sharedBuffer = 64 << 20
	singleBuffer = 4 << 20
)

// datagramSender queues datagrams for one socket at a time. It flushes when the socket changes.
type datagramSender struct {
	writer *batch.Writer
	socket *batch.Socket
}

func newSender(size int) datagramSender {
	return datagramSender{writer: batch.NewWriter(batchSize, size)}
}

// queueDatagram queues a datagram to d on socket and returns the slice for its payload, or nil if
// it is larger than a batch.
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

// arenaPerDatagram returns how many bytes of payload a batch has for each of its messages. With
// segments, a message is a run of datagrams and gets 8 times as much.
func arenaPerDatagram(size int, segment bool) int {
	if segment {
		return 8 * size
	}
	return size
}
