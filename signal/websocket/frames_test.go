package websocket

import (
	"bytes"
	"encoding/binary"
	"net"
	"testing"
	"time"

	"icebox/signal"
	"icebox/signal/broker"
	"icebox/signal/signaltest"
)

// fakePeer is a Peer without a rate limit. It records the reasons of End.
type fakePeer struct {
	done  chan struct{}
	ended []signal.Reason
}

func (p *fakePeer) ID() broker.ID                          { return broker.ID{} }
func (p *fakePeer) Done() <-chan struct{}                  { return p.done }
func (p *fakePeer) Seen()                                  {}
func (p *fakePeer) CountMessage(int) (time.Duration, bool) { return 0, false }
func (p *fakePeer) Close()                                 {}
func (p *fakePeer) TryClose(func()) bool                   { return false }
func (p *fakePeer) End(why signal.Reason) {
	if p.ended == nil {
		close(p.done)
	}
	p.ended = append(p.ended, why)
}

// recorder is a MessageHandler that records messages. It handles every other message as slow work.
type recorder struct {
	messages [][]byte
	refused  int
}

func (r *recorder) Open() {}
func (r *recorder) HandleText(m []byte) func() {
	if len(r.messages)%2 == 0 {
		return func() { r.messages = append(r.messages, bytes.Clone(m)) }
	}
	r.messages = append(r.messages, bytes.Clone(m))
	return nil
}
func (r *recorder) SendError(*signal.Error) { r.refused++ }

// recordingConn is a connection that accepts and records all writes.
type recordingConn struct {
	net.Conn
	written []byte
}

func (c *recordingConn) Write(b []byte) (int, error) {
	c.written = append(c.written, b...)
	return len(b), nil
}
func (c *recordingConn) SetWriteDeadline(time.Time) error { return nil }
func (c *recordingConn) Close() error                     { return nil }

// masked returns a client's frame whose first byte is head.
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

// FuzzFrames feeds the same bytes to two readers, to one at once and to the other in pieces. Both must deliver the same
// messages, write the same bytes, and end the peer for the same number of reasons.
func FuzzFrames(f *testing.F) {
	text := masked(finalBit|opText, []byte(`{"type":"login"}`))
	f.Add(text, uint8(1))
	f.Add(append(masked(opText, []byte("a")), append(masked(finalBit|opPing, nil), masked(finalBit, []byte("b"))...)...), uint8(3))
	f.Add(append(text, masked(finalBit|opText, bytes.Repeat([]byte("x"), 70_000))...), uint8(200))
	f.Add(masked(finalBit|opClose, []byte{3, 232}), uint8(2))
	f.Add([]byte{0x81, 0xFF, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0}, uint8(1))
	hub := signaltest.Hub(f, signal.Options{}, signal.DefaultLimits())
	readAll := func(data []byte, step int) (*recorder, *fakePeer, []byte) {
		handler, out, peer := &recorder{}, &recordingConn{}, &fakePeer{done: make(chan struct{})}
		rd := &reader{host: &Host{Hub: hub}, conn: newConn(out), peer: peer, handler: handler}
		defer rd.stopStallTimer()
		data = bytes.Clone(data)
		for len(data) > 0 && !rd.readDone {
			n := min(step, len(data))
			rd.runSlow(rd.feed(data[:n]))
			data = data[n:]
		}
		return handler, peer, out.written
	}
	f.Fuzz(func(t *testing.T, data []byte, step uint8) {
		whole, peer, written := readAll(data, len(data)+1)
		parts, peer2, written2 := readAll(data, int(step)+1)
		if len(whole.messages) != len(parts.messages) || whole.refused != parts.refused ||
			!bytes.Equal(written, written2) || len(peer.ended) != len(peer2.ended) {
			t.Fatalf("at once: messages %q, written %x, ended %v; in pieces: messages %q, written %x, ended %v",
				whole.messages, written, peer.ended, parts.messages, written2, peer2.ended)
		}
		for i := range whole.messages {
			if !bytes.Equal(whole.messages[i], parts.messages[i]) {
				t.Fatalf("message %d: %q at once, %q in pieces", i, whole.messages[i], parts.messages[i])
			}
		}
	})
}

func TestUnmask(t *testing.T) {
	for n := range 40 {
		want := bytes.Repeat([]byte("abcdefg"), 6)[:n]
		frame := masked(finalBit|opText, want)
		h, ok, err := parseHeader(frame)
		if err != nil || !ok || h.payloadLen != n {
			t.Fatalf("parseHeader of a frame with %d bytes = %+v, %v, %v", n, h, ok, err)
		}
		body := frame[h.headerLen:]
		unmask(h.mask, body)
		if !bytes.Equal(body, want) {
			t.Errorf("%q, want %q", body, want)
		}
	}
}
