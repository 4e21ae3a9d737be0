package pocketbase

import (
	"bytes"
	"net/http"
	"strings"
	"sync"
	"time"
)

// idle is a response of a connection that exists in memory alone, with fake time.
type idle struct {
	header http.Header
	done   chan struct{}

	mu   sync.Mutex
	body bytes.Buffer
}

func newIdle() *idle { return &idle{header: make(http.Header), done: make(chan struct{})} }

func (i *idle) Header() http.Header { return i.header }

func (i *idle) WriteHeader(int) {}

func (i *idle) Write(b []byte) (int, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.body.Write(b)
}

func (i *idle) Flush() {}

func (i *idle) SetWriteDeadline(time.Time) error { return nil }

func (i *idle) text() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.body.String()
}

// id is what the first event says.
func (i *idle) id() string {
	_, rest, _ := strings.Cut(i.text(), "id:")
	id, _, _ := strings.Cut(rest, "\n")
	return id
}

func (i *idle) ended() bool {
	select {
	case <-i.done:
		return true
	default:
		return false
	}
}
