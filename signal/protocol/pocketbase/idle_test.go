package pocketbase

import (
	"bytes"
	"net/http"
	"strings"
	"sync"
	"time"
)

// idleResponse is a response of a connection that exists in memory alone, with fake time.
type idleResponse struct {
	header http.Header
	done   chan struct{}

	mu   sync.Mutex
	body bytes.Buffer
}

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

// id is what the first event says.
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
