package native

import (
	"bytes"
	"net/http"
	"time"

	"icebox/signal/sse"
)

// heartbeatEvery is how often an event stream without events has a comment.
const heartbeatEvery = 15 * time.Second

// stream is a response of server-sent events as a transport. The handler's goroutine lives as long as it.
type stream struct{ *sse.Stream }

// AnswersPings implements transport.
func (t stream) AnswersPings() bool { return false }

// Write implements signal.Conn: a frame is an event, whose ID is its number.
func (t stream) Write(frame []byte, deadline time.Time) error {
	return t.Stream.Write(encodeEvent(frame), deadline)
}

// TryWrite implements signal.NonblockingConn: a response can only be written by waiting.
func (t stream) TryWrite([]byte) (done bool, err error) { return false, nil }

// TryPing implements signal.NonblockingConn.
func (t stream) TryPing() (done bool, err error) { return false, nil }

// keepAlive keeps the stream alive until it ends.
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

var numbered = []byte(`{"seq":`)

// encodeEvent makes an event of a frame. Line breaks in one stand between JSON's tokens, where a space does as well.
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
