package streamio

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"icebox/turnserver/packetio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tcpPair returns the two ends of a TCP connection.
func tcpPair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp4", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// A Conn accepts writes up to a limit while its client does not read, and delivers the bytes in order afterwards.
func TestConnKeepsUnwrittenBytes(t *testing.T) {
	pipeA, pipeB := net.Pipe()
	t.Cleanup(func() { pipeA.Close(); pipeB.Close() })
	tcpA, tcpB := tcpPair(t)
	LimitUnsent(tcpA)
	for name, c := range map[string][2]net.Conn{"socket": {tcpA, tcpB}, "no socket": {pipeA, pipeB}} {
		t.Run(name, func(t *testing.T) {
			s := NewConn(c[0])
			s.SetNonblocking()
			var sent bytes.Buffer
			var err error
			for i := 0; err == nil; i++ {
				b := bytes.Repeat([]byte{byte(i)}, 16<<10)
				if _, err = s.Write(b); err == nil {
					sent.Write(b)
				}
			}
			if !errors.Is(err, errTooSlow) || !s.behind() || len(s.unwritten) > maxUnwritten {
				t.Fatalf("write: %v, behind by %d bytes", err, len(s.unwritten))
			}
			drained := make(chan error, 1)
			go func() { drained <- s.drain() }()
			got := make([]byte, sent.Len())
			if _, err := io.ReadFull(c[1], got); err != nil || !bytes.Equal(got, sent.Bytes()) {
				t.Errorf("read: %v, or other bytes than were written", err)
			}
			if err := <-drained; err != nil || s.behind() {
				t.Errorf("drain: %v", err)
			}
		})
	}
}

// Messages that are queued in one round are written together at its end.
func TestWriterWaitsForTheEndOfTheRound(t *testing.T) {
	a, b := tcpPair(t)
	s := NewConn(a)
	s.SetNonblocking()
	w := NewWriter(s, s, new(sync.WaitGroup))
	batch := packetio.Borrow()
	p := new(packetio.Packet)
	for range 3 {
		buf := make([]byte, packetio.Headroom+4+packetio.Tailroom)
		p.View(batch, buf, packetio.Headroom, packetio.Headroom+4)
		if !w.Enqueue(p, QueueSize) {
			t.Fatal("refused")
		}
	}
	if w.queued() != 12 {
		t.Errorf("%d bytes queued, want 12", w.queued())
	}
	batch.Return()
	if n, err := io.ReadFull(b, make([]byte, 12)); err != nil || w.queued() != 0 {
		t.Errorf("%d bytes read, %d still queued: %v", n, w.queued(), err)
	}
}
