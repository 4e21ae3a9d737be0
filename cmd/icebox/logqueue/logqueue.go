// Package logqueue lets a daemon log without waiting for the reader of its log.
//
// A [Queue] stands between a slog.Handler and a file such as stderr. Write copies a line into memory and returns. One
// goroutine, the writer, writes the lines to the file in their order. A Queue loses lines in two cases, and counts them:
//
//   - The queue is full, because the reader of a pipe does not read, or a disk is slow. New lines are dropped.
//   - The write fails, for example with EPIPE because the reader has gone, or with ENOSPC. The lines of that write are
//     dropped. The writer tries again when the next line comes.
//
// As soon as the file takes lines again, one line reports how many are missing at that point.
//
// The Go runtime ends a process that gets EPIPE from its stdout or stderr, unless the process ignores SIGPIPE. The
// caller decides about that.
package logqueue

import (
	"bytes"
	"io"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// maxBytes is how many bytes of lines a Queue holds, including those that are being written.
	maxBytes = 1 << 20
	// keptBuffer is the capacity in bytes up to which a buffer is used again.
	keptBuffer = 64 << 10
)

// Report writes one line to w, which says that the given number of lines are missing.
type Report func(w io.Writer, dropped int)

// Queue is an io.Writer that never blocks. It is safe for concurrent use.
type Queue struct {
	file   io.Writer
	report Report // nil: nothing is reported

	droppedTotal, errorsTotal prometheus.Counter

	mu      sync.Mutex
	changed sync.Cond // with mu; signalled when the writer has something to do
	pending []byte    // whole lines
	writing int       // length in bytes of the lines that the writer is writing
	dropped int       // lines dropped after those in pending, for the next report
	closed  bool

	done chan struct{} // closed when the writer has ended

	// Owned by the writer.
	missing int  // dropped lines to report before the next line
	torn    bool // a write has failed in the middle of a line
}

// New returns a Queue that writes to file. The caller must close it. report may be nil.
func New(file io.Writer, report Report) *Queue {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "icebox", Subsystem: "log", Name: name, Help: help})
	}
	q := &Queue{
		file:         file,
		report:       report,
		droppedTotal: counter("lines_dropped_total", "Log lines dropped because they could not be written in time, or at all."),
		errorsTotal:  counter("write_errors_total", "Writes to the log that failed."),
		done:         make(chan struct{}),
	}
	q.changed.L = &q.mu
	go q.run()
	return q
}

// Collectors returns the Queue's metrics.
func (q *Queue) Collectors() []prometheus.Collector {
	return []prometheus.Collector{q.droppedTotal, q.errorsTotal}
}

// Write queues lines, which is one line or several whole lines, or drops them. It returns no error.
func (q *Queue) Write(lines []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.pending)+q.writing+len(lines) > maxBytes {
		n := count(lines)
		q.dropped += n
		q.droppedTotal.Add(float64(n))
	} else {
		q.pending = append(q.pending, lines...)
	}
	q.changed.Signal()
	return len(lines), nil
}

// Close waits until all lines are written, but not longer than limit. It drops lines that come later. If a write still
// blocks at the limit, Close returns and the writer goroutine stays blocked.
func (q *Queue) Close(limit time.Duration) {
	q.mu.Lock()
	q.closed = true
	q.changed.Signal()
	q.mu.Unlock()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-q.done:
	case <-timer.C:
	}
}

// run is the writer.
func (q *Queue) run() {
	defer close(q.done)
	var lines []byte
	for {
		var dropped int
		var ok bool
		if lines, dropped, ok = q.next(lines); !ok {
			return
		}
		written := q.write(lines)
		q.missing += dropped
		if written {
			q.write(nil) // reports what was dropped
		}
	}
}

// next waits until the writer has something to do. It returns the pending lines and how many were dropped after them. It
// returns false when the queue is closed and everything is written. last is the previous result, whose memory next may use.
func (q *Queue) next(last []byte) (lines []byte, dropped int, ok bool) {
	if cap(last) > keptBuffer {
		last = nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.writing = 0
	for len(q.pending) == 0 && q.dropped == 0 && !q.closed {
		q.changed.Wait()
	}
	ok = len(q.pending) > 0 || q.dropped > 0 && !q.closed // lines dropped since Close are not reported
	lines, dropped = q.pending, q.dropped
	q.pending, q.dropped, q.writing = last[:0], 0, len(lines)
	return lines, dropped, ok
}

// write writes the report of missing lines, if there are any, and then lines. It reports whether the file took everything.
// Lines that the file did not take are missing in the next report.
func (q *Queue) write(lines []byte) bool {
	if q.missing > 0 && q.report != nil {
		var report bytes.Buffer
		q.report(&report, q.missing)
		if n := q.put(report.Bytes()); n < report.Len() {
			q.lose(lines)
			return false
		}
	}
	q.missing = 0
	if n := q.put(lines); n < len(lines) {
		q.lose(lines[n:])
		return false
	}
	return true
}

// put writes b to the file and returns how many bytes the file took. If the last write failed in the middle of a line, put
// ends that line first.
func (q *Queue) put(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	if q.torn {
		if _, err := q.file.Write([]byte("\n")); err != nil {
			q.errorsTotal.Inc()
			return 0
		}
		q.torn = false
	}
	n, err := q.file.Write(b)
	if err == nil {
		return len(b)
	}
	q.errorsTotal.Inc()
	q.torn = n > 0 && b[n-1] != '\n'
	return n
}

// lose counts lines that the file did not take. The first one may be the rest of a line.
func (q *Queue) lose(lines []byte) {
	n := count(lines)
	q.missing += n
	q.droppedTotal.Add(float64(n))
}

func count(lines []byte) int { return bytes.Count(lines, []byte("\n")) }
