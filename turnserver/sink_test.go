package turnserver

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"

	"icebox/turnserver/packetio"
)

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

// A sink takes what its reader does not read, up to a limit, without waiting, and delivers it in order.
func TestSink(t *testing.T) {
	pipeA, pipeB := net.Pipe()
	t.Cleanup(func() { pipeA.Close(); pipeB.Close() })
	tcpA, tcpB := tcpPair(t)
	limitUnsent(tcpA)
	for name, c := range map[string][2]net.Conn{"socket": {tcpA, tcpB}, "no socket": {pipeA, pipeB}} {
		t.Run(name, func(t *testing.T) {
			s := newSink(c[0])
			s.hurry()
			var sent bytes.Buffer
			var err error
			for i := 0; err == nil; i++ {
				b := bytes.Repeat([]byte{byte(i)}, 16<<10)
				if _, err = s.Write(b); err == nil {
					sent.Write(b)
				}
			}
			if !errors.Is(err, errBehind) || !s.behind() || len(s.rest) > sinkSize {
				t.Fatalf("write: %v, behind by %d bytes", err, len(s.rest))
			}
			drained := make(chan error, 1)
			go func() { drained <- s.drain() }()
			got := make([]byte, sent.Len())
			if _, err := io.ReadFull(c[1], got); err != nil || !bytes.Equal(got, sent.Bytes()) {
				t.Errorf("read: %v, or something else than was written", err)
			}
			if err := <-drained; err != nil || s.behind() {
				t.Errorf("drain: %v", err)
			}
		})
	}
}

// What one reader sends to a stream in one go is written in one go.
func TestOutboxWaitsForTheEndOfTheRound(t *testing.T) {
	a, b := tcpPair(t)
	s := newSink(a)
	s.hurry()
	o := &outbox{conn: s, sink: s}
	batch := packetio.Borrow()
	p := new(packetio.Packet)
	for range 3 {
		buf := make([]byte, packetio.Headroom+4+packetio.Tailroom)
		p.View(batch, buf, packetio.Headroom, packetio.Headroom+4)
		if !o.put(p, outboxSize) {
			t.Fatal("refused")
		}
	}
	if o.size() != 12 {
		t.Errorf("%d bytes wait", o.size())
	}
	batch.Return()
	if n, err := io.ReadFull(b, make([]byte, 12)); err != nil || o.size() != 0 {
		t.Errorf("%d bytes came, %d still wait: %v", n, o.size(), err)
	}
}
