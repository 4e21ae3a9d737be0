// Package logqueue lets a daemon log without ever waiting for the reader of its log.
//
// A [Queue] is an io.Writer between a slog.Handler and a file such as stderr. Write copies a line into memory and returns;
// one goroutine writes the lines to the file in order. The memory is limited to 1 MiB. While it is full, because the reader
// of the log does not read or the disk is full, further lines are dropped and counted. Once there is room again, a line
// reports how many were dropped.
//
// A write that fails, for example with EPIPE because the reader has gone, loses the lines of that write and nothing else.
// Go ends a process that gets SIGPIPE for its stdout or stderr, so the caller has to ignore that signal.
package logqueue

import (
	"bytes"
	"io"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// maxPending is how many bytes of lines a Queue holds, beside those that are being written.
	maxPending = 1 << 20
	// keptBuffer is the size in bytes above which a buffer is freed after use.
	keptBuffer = 16 << 10
)

// Queue writes lines to a file in a goroutine of its own. It is safe for concurrent use.
type Queue struct {
	file          io.Writer
	reportDropped func(w io.Writer, lines int)

	mu      sync.Mutex
	pending []byte // lines to write, whole
	dropped int    // lines dropped since the last report, after those in pending
	closed  bool

	wake chan struct{} // receives when the goroutine has work, or has to end
	done chan struct{} // closed when the goroutine has ended

	droppedTotal, errorsTotal prometheus.Counter
}

// New returns a Queue that writes to file. When lines have been dropped, it calls reportDropped, which writes one line about
// that to w. reportDropped may be nil.
func New(file io.Writer, reportDropped func(w io.Writer, lines int)) *Queue {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "icebox", Subsystem: "log", Name: name, Help: help})
	}
	q := &Queue{
		file:          file,
		reportDropped: reportDropped,
		wake:          make(chan struct{}, 1),
		done:          make(chan struct{}),
		droppedTotal:  counter("lines_dropped_total", "Log lines dropped because they could not be written in time, or at all."),
		errorsTotal:   counter("write_errors_total", "Writes to the log that failed."),
	}
	go q.run()
	return q
}

// Collectors returns the Queue's metrics.
func (q *Queue) Collectors() []prometheus.Collector {
	return []prometheus.Collector{q.droppedTotal, q.errorsTotal}
}

// Write queues line, which is one or more whole lines, or drops and counts it. It never blocks and never fails.
func (q *Queue) Write(line []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.pending)+len(line) > maxPending {
		q.drop(countLines(line))
		return len(line), nil
	}
	q.pending = append(q.pending, line...)
	q.signal()
	return len(line), nil
}

// drop counts dropped lines. The caller holds mu.
func (q *Queue) drop(lines int) {
	q.dropped += lines
	q.droppedTotal.Add(float64(lines))
}

// signal wakes the goroutine.
func (q *Queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default: // it has not yet received the last one
	}
}

// Close waits until all lines are written, at most for timeout. The Queue drops lines from now on. If the file blocks for
// longer, the goroutine is left behind and reads nothing of the Queue any more.
func (q *Queue) Close(timeout time.Duration) {
	q.mu.Lock()
	q.closed = true
	q.signal()
	q.mu.Unlock()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-q.done:
	case <-timer.C:
	}
}

func (q *Queue) run() {
	defer close(q.done)
	var batch []byte
	for range q.wake {
		for {
			var dropped int
			var closed bool
			batch, dropped, closed = q.next(batch)
			if len(batch) > 0 {
				q.write(batch)
			}
			if dropped > 0 && q.reportDropped != nil {
				var report bytes.Buffer
				q.reportDropped(&report, dropped)
				q.write(report.Bytes())
			}
			if len(batch) == 0 && dropped == 0 {
				if closed {
					return
				}
				break
			}
		}
	}
}

// next returns the pending lines and how many lines were dropped after them. It reuses the buffer of the last batch, unless
// that has grown large.
func (q *Queue) next(last []byte) (batch []byte, dropped int, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	batch, dropped = q.pending, q.dropped
	if cap(last) > keptBuffer {
		last = nil
	}
	q.pending, q.dropped = last[:0], 0
	return batch, dropped, q.closed
}

// write writes whole lines to the file. Lines that it cannot write count as dropped, and are not reported as dropped: a
// report could not be written either.
func (q *Queue) write(lines []byte) {
	n, err := q.file.Write(lines)
	if err != nil {
		q.errorsTotal.Inc()
		q.droppedTotal.Add(float64(countLines(lines[n:])))
	}
}

func countLines(b []byte) int { return bytes.Count(b, []byte("\n")) }
