package native

import (
	"bytes"
	"net/http"
	"time"

	"icebox/signal/sse"
)

// heartbeatEvery is how often the server writes a comment to an event stream, which keeps proxies from closing it.
const heartbeatEvery = 15 * time.Second

// stream is an event stream as a transport. The HTTP handler does not return before the stream has ended.
type stream struct{ *sse.Stream }

// AnswersPings implements transport.
func (t stream) AnswersPings() bool { return false }

// Write implements signal.Conn. It sends the frame as an event whose ID is the frame's sequence number.
func (t stream) Write(frame []byte, deadline time.Time) error {
	return t.Stream.Write(encodeEvent(frame), deadline)
}

// TryWrite implements signal.NonblockingConn. It always returns false, because writing an HTTP response may block.
func (t stream) TryWrite([]byte) (done bool, err error) { return false, nil }

// TryPing implements signal.NonblockingConn. It always returns false, as TryWrite does.
func (t stream) TryPing() (done bool, err error) { return false, nil }

// keepAlive writes a comment every heartbeatEvery and calls alive after each that succeeds. It returns when the stream or
// the request has ended.
func (t stream) keepAlive(r *http.Request, alive func()) {
	tick := time.NewTicker(heartbeatEvery)
	defer tick.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-t.Done():
			return
		case <-tick.C:
		}
		if t.Ping(time.Now().Add(writeWait)) != nil {
			return
		}
		alive()
	}
}

// numbered is how wire.Numbered begins a frame.
var numbered = []byte(`{"seq":`)

// encodeEvent returns a frame as an event. Line breaks would end the event's data. In JSON they occur only between tokens,
// so encodeEvent replaces them by spaces.
func encodeEvent(frame []byte) []byte {
	b := make([]byte, 0, len(frame)+40)
	if rest, ok := bytes.CutPrefix(frame, numbered); ok {
		if end := bytes.IndexByte(rest, ','); end >= 0 {
			b = append(append(append(b, "id: "...), rest[:end]...), '\n')
		}
	}
	b = append(b, "data: "...)
	start := len(b)
	b = append(b, frame...)
	if bytes.ContainsAny(frame, "\r\n") {
		for i := start; i < len(b); i++ {
			if b[i] == '\n' || b[i] == '\r' {
				b[i] = ' '
			}
		}
	}
	return append(b, "\n\n"...)
}
