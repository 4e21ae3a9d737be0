package websocket

import (
	"bytes"
	"encoding/binary"
	"net"
	"testing"
	"time"

	"icebox/signal"
	"icebox/signal/broker"
)

// fakePeer is a peer that is never refused anything.
type fakePeer struct {
	done  chan struct{}
	ended []signal.Reason
}

func (n *fakePeer) ID() broker.ID                          { return broker.ID{} }
func (n *fakePeer) Done() <-chan struct{}                  { return n.done }
func (n *fakePeer) Seen()                                  {}
func (n *fakePeer) CountMessage(int) (time.Duration, bool) { return 0, false }
func (n *fakePeer) Close()                                 {}
func (n *fakePeer) TryClose(func()) bool                   { return false }
func (n *fakePeer) End(why signal.Reason) {
	if n.ended == nil {
		close(n.done)
	}
	n.ended = append(n.ended, why)
}

// recorder is a session that writes down what it gets. Every other message takes its time.
type recorder struct {
	messages [][]byte
	refused  int
}

func (l *recorder) Open() {}
func (l *recorder) HandleText(m []byte) func() {
	if len(l.messages)%2 == 0 {
		return func() { l.messages = append(l.messages, bytes.Clone(m)) }
	}
	l.messages = append(l.messages, bytes.Clone(m))
	return nil
}
func (l *recorder) SendError(*signal.Error) { l.refused++ }

// discardConn is a connection that takes everything.
type discardConn struct {
	net.Conn
	written []byte
}

func (s *discardConn) Write(b []byte) (int, error) {
	s.written = append(s.written, b...)
	return len(b), nil
}
func (s *discardConn) SetWriteDeadline(time.Time) error { return nil }
func (s *discardConn) Close() error                     { return nil }

// masked is a client's frame.
func masked(head byte, payload []byte) []byte {
	b := []byte{head}
	switch n := len(payload); {
	case n < 126:
		b = append(b, maskBit|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, maskBit|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, maskBit|127), uint64(n))
	}
	mask := [4]byte{0x12, 0x34, 0x56, 0x78}
	b = append(b, mask[:]...)
	at := len(b)
	b = append(b, payload...)
	for i := range payload {
		b[at+i] ^= mask[i&3]
	}
	return b
}

// FuzzFrames feeds the same bytes in pieces of different sizes: what comes out must not depend on them, and nothing may be
// accepted that the rules forbid.
func FuzzFrames(f *testing.F) {
	text := masked(finalBit|opText, []byte(`{"type":"login"}`))
	f.Add(text, uint8(1))
	f.Add(append(masked(opText, []byte("a")), append(masked(finalBit|opPing, nil), masked(finalBit, []byte("b"))...)...), uint8(3))
	f.Add(append(text, masked(finalBit|opText, bytes.Repeat([]byte("x"), 70_000))...), uint8(200))
	f.Add(masked(finalBit|opClose, []byte{3, 232}), uint8(2))
	f.Add([]byte{0x81, 0xFF, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0}, uint8(1))
	hub, err := signal.New(signal.Options{}, signal.DefaultLimits())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = hub.Shutdown(f.Context()) })
	digest := func(data []byte, step int) (*recorder, *fakePeer, []byte) {
		l, out, peer := &recorder{}, &discardConn{}, &fakePeer{done: make(chan struct{})}
		k := &reader{host: &Host{Hub: hub}, conn: newConn(out), peer: peer, handler: l}
		defer k.stopStallTimer()
		data = bytes.Clone(data)
		for len(data) > 0 && !k.readDone {
			n := min(step, len(data))
			k.runSlow(k.feed(data[:n]))
			data = data[n:]
		}
		return l, peer, out.written
	}
	f.Fuzz(func(t *testing.T, data []byte, step uint8) {
		whole, peer, said := digest(data, len(data)+1)
		parts, peer2, said2 := digest(data, int(step)+1)
		if len(whole.messages) != len(parts.messages) || whole.refused != parts.refused || !bytes.Equal(said, said2) || len(peer.ended) != len(peer2.ended) {
			t.Fatalf("at once: %q, %x, %v; in pieces: %q, %x, %v", whole.messages, said, peer.ended, parts.messages, said2, peer2.ended)
		}
		for i := range whole.messages {
			if !bytes.Equal(whole.messages[i], parts.messages[i]) {
				t.Fatalf("%q and %q", whole.messages[i], parts.messages[i])
			}
		}
	})
}

func TestUnmask(t *testing.T) {
	for n := range 40 {
		want := bytes.Repeat([]byte("abcdefg"), 6)[:n]
		frame := masked(finalBit|opText, want)
		h, ok, err := parseHeader(frame)
		if err != nil || !ok || h.body != n {
			t.Fatal(h, ok, err)
		}
		body := frame[h.size:]
		unmask(h.mask, body)
		if !bytes.Equal(body, want) {
			t.Errorf("%q, want %q", body, want)
		}
	}
}
