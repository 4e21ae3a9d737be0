package native

import (
	"bytes"
	"errors"
	"net/http"
	"sync"
	"time"

	"icebox/signal"
)

// heartbeat is how often an event stream without events has a comment.
const heartbeat = 15 * time.Second

// lastWrite is how long a response may take to say that it has ended.
const lastWrite = 5 * time.Second

var errStreamOver = errors.New("the event stream is over")

// stream is a response of server-sent events as a transport. The handler's goroutine lives as long as it.
type stream struct {
	w  http.ResponseWriter
	rc *http.ResponseController

	once sync.Once
	over chan struct{}

	writing sync.Mutex // held while writing

	mu   sync.Mutex
	gone bool // the response writer must not be touched any more
}

func newStream(w http.ResponseWriter) *stream {
	return &stream{w: w, rc: http.NewResponseController(w), over: make(chan struct{})}
}

// start sends the header. The connection's own deadlines are lifted; every write has one.
func (t *stream) start() {
	h := t.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	h.Set("X-Content-Type-Options", "nosniff")
	t.w.WriteHeader(http.StatusOK)
	_ = t.rc.SetReadDeadline(time.Time{}) // where it can't be lifted the client opens another stream in time
}

// Answers implements transport.
func (t *stream) Answers() bool { return false }

// Write implements signal.Conn: a frame is an event, whose ID is its number.
func (t *stream) Write(frame []byte, deadline time.Time) error {
	return t.write(event(frame), deadline)
}

// Ping implements signal.Conn.
func (t *stream) Ping(deadline time.Time) error { return t.write([]byte(": \n\n"), deadline) }

func (t *stream) write(b []byte, deadline time.Time) error {
	t.writing.Lock()
	defer t.writing.Unlock()
	select {
	case <-t.over:
		return errStreamOver
	default:
	}
	if err := t.rc.SetWriteDeadline(deadline); err != nil {
		return err
	}
	if _, err := t.w.Write(b); err != nil {
		return err
	}
	err := t.rc.Flush()
	_ = t.rc.SetWriteDeadline(time.Time{}) // HTTP/2 ends a stream at its deadline, whether somebody writes or not
	return err
}

// TryWrite implements signal.Prompt: a response can only be written by waiting.
func (t *stream) TryWrite([]byte) (done bool, err error) { return false, nil }

// TryPing implements signal.Prompt.
func (t *stream) TryPing() (done bool, err error) { return false, nil }

// Close implements signal.Conn.
func (t *stream) Close(signal.Reason) { t.end() }

// Abort implements signal.Conn.
func (t *stream) Abort() {
	t.end()
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.gone {
		_ = t.rc.SetWriteDeadline(time.Unix(1, 0)) // frees who is writing
	}
}

func (t *stream) end() { t.once.Do(func() { close(t.over) }) }

// leave returns when nobody uses the response writer any more.
func (t *stream) leave() {
	t.end()
	if !t.writing.TryLock() { // nobody writes after the end, but who is writing may not be waited for
		t.Abort()
		t.writing.Lock()
	}
	defer t.writing.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gone = true
	_ = t.rc.SetWriteDeadline(time.Now().Add(lastWrite))
}

// serve keeps the stream alive until it ends.
func (t *stream) serve(r *http.Request, alive func()) {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-t.over:
			return
		case <-tick.C:
		}
		if t.Ping(time.Now().Add(writeWait)) != nil {
			return
		}
		alive()
	}
}

var (
	numbered = []byte(`{"seq":`)
)

// event makes an event of a frame. Line breaks in one stand between JSON's tokens, where a space does as well.
func event(frame []byte) []byte {
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
