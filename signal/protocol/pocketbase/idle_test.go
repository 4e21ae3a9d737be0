package pocketbase

import (
	"bytes"
	"net/http"
	"strings"
	"sync"
	"time"
)

// idleResponse is an in-memory http.ResponseWriter for an event stream in a synctest bubble, where a network connection
// would keep the fake clock from advancing.
type idleResponse struct {
	header http.Header
	done   chan struct{}

	mu   sync.Mutex
	body bytes.Buffer
}

// newIdle returns an idleResponse. The test closes done when the handler returns.
func newIdle() *idleResponse {
	return &idleResponse{header: make(http.Header), done: make(chan struct{})}
}

func (i *idleResponse) Header() http.Header { return i.header }

func (i *idleResponse) WriteHeader(int) {}

func (i *idleResponse) Write(b []byte) (int, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.body.Write(b)
}

func (i *idleResponse) Flush() {}

func (i *idleResponse) SetWriteDeadline(time.Time) error { return nil }

func (i *idleResponse) text() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.body.String()
}

// id returns the stream's ID from the first event.
func (i *idleResponse) id() string {
	_, rest, _ := strings.Cut(i.text(), "id:")
	id, _, _ := strings.Cut(rest, "\n")
	return id
}

func (i *idleResponse) ended() bool {
	select {
	case <-i.done:
		return true
	default:
		return false
	}
}
