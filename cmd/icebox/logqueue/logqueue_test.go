package logqueue

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func report(w io.Writer, dropped int) { fmt.Fprintf(w, "%d lines dropped\n", dropped) }

func (q *Queue) print(text string) { _, _ = q.Write([]byte(text)) }

func (q *Queue) wantDropped(t *testing.T, lines, failures float64) {
	t.Helper()
	if a, b := testutil.ToFloat64(q.droppedTotal), testutil.ToFloat64(q.errorsTotal); a != lines || b != failures {
		t.Errorf("%v lines dropped and %v writes failed, want %v and %v", a, b, lines, failures)
	}
}

// file is a file that may block, or become full.
type file struct {
	blocked chan struct{} // nil: writes do not block
	full    bool
	room    int // bytes that a full file still takes
	text    strings.Builder
}

func (f *file) Write(b []byte) (int, error) {
	if f.blocked != nil {
		<-f.blocked
	}
	if !f.full || len(b) <= f.room {
		f.room -= len(b)
		return f.text.Write(b)
	}
	n, _ := f.text.Write(b[:f.room])
	f.room = 0
	return n, syscall.ENOSPC
}

func TestLinesKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, want := &file{}, strings.Builder{}
		q := New(f, report)
		for i := range 1000 {
			line := fmt.Sprintf("line %d\n", i)
			want.WriteString(line)
			if n, err := q.Write([]byte(line)); n != len(line) || err != nil {
				t.Fatal(n, err)
			}
		}
		q.Close(time.Second)
		if f.text.String() != want.String() {
			t.Errorf("the file has %d bytes, want %d in the order of the calls", f.text.Len(), want.Len())
		}
		q.wantDropped(t, 0, 0)
	})
}

// While the file blocks, Write returns. Lines above maxBytes are dropped, counted, and reported where they are missing.
func TestFileBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &file{blocked: make(chan struct{})}
		q := New(f, report)
		line := strings.Repeat("x", 1023) + "\n"
		q.print(line)
		synctest.Wait() // the writer blocks with the first line, which counts too
		for range maxBytes/len(line) - 1 + 17 {
			q.print(line)
		}
		q.wantDropped(t, 17, 0)
		close(f.blocked)
		synctest.Wait()
		q.print("after\n")
		q.Close(time.Second)
		want := strings.Repeat(line, maxBytes/len(line)) + "17 lines dropped\nafter\n"
		if got := f.text.String(); got != want {
			t.Errorf("the file has %d bytes and ends with %q, want %d bytes", len(got), got[max(0, len(got)-40):], len(want))
		}
	})
}

// A single line that the queue cannot hold is reported without any other line.
func TestLineTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &file{}
		q := New(f, report)
		q.print(strings.Repeat("x", maxBytes) + "\n")
		synctest.Wait()
		if got := f.text.String(); got != "1 lines dropped\n" {
			t.Errorf("the file has %.99q", got)
		}
		q.Close(time.Second)
	})
}

// Lines whose write fails are dropped and counted. The queue does not keep them, and reports them once the file works again.
func TestFileIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &file{full: true, room: 3}
		q := New(f, report)
		for range 3 {
			q.print("lost\n")
			synctest.Wait()
		}
		q.wantDropped(t, 3, 3)
		if n := len(q.pending); n != 0 {
			t.Errorf("the queue holds %d bytes", n)
		}
		f.full = false
		q.print("kept\n")
		q.Close(time.Second)
		if got, want := f.text.String(), "los\n3 lines dropped\nkept\n"; got != want {
			t.Errorf("the file has %q, want %q", got, want)
		}
	})
}

// Close gives up at its limit, and the writer then ends as soon as the file lets it.
func TestCloseWhileTheFileBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &file{blocked: make(chan struct{})}
		q := New(f, report)
		q.print("a line\n")
		synctest.Wait()
		began := time.Now()
		q.Close(time.Second)
		if took := time.Since(began); took != time.Second {
			t.Errorf("Close took %v", took)
		}
		q.print("too late\n")
		q.wantDropped(t, 1, 0)
		close(f.blocked)
		<-q.done
		if got := f.text.String(); got != "a line\n" {
			t.Errorf("the file has %q", got)
		}
	})
}

// A pipe that nobody reads does not block Write, independently of the size of the pipe's buffer.
func TestPipeThatNobodyReads(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	q := New(w, report)
	line := strings.Repeat("x", 1023) + "\n"
	const lines = 4 * maxBytes / 1024
	for range lines {
		q.print(line)
	}
	if testutil.ToFloat64(q.droppedTotal) == 0 {
		t.Error("no line was dropped")
	}
	var read sync.WaitGroup
	var got bytes.Buffer
	read.Go(func() { _, _ = got.ReadFrom(r) })
	q.Close(time.Minute)
	_ = w.Close()
	read.Wait()
	_ = r.Close()
	kept := strings.Count(got.String(), line)
	if dropped := int(testutil.ToFloat64(q.droppedTotal)); kept+dropped != lines || !strings.Contains(got.String(), " lines dropped\n") {
		t.Errorf("%d lines were read and %d dropped, want %d together, and a report", kept, dropped, lines)
	}
}

// When the reader of a pipe goes, lines are lost. The next reader gets the next lines.
func TestReaderGoes(t *testing.T) {
	path := t.TempDir() + "/pipe"
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	open := func(flag int) *os.File {
		f, err := os.OpenFile(path, flag, 0)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	reader := open(os.O_RDWR) // does not wait for a writer
	w := open(os.O_WRONLY)
	defer func() { _ = w.Close() }()
	_ = reader.Close()
	results := make(chan error, 1)
	q := New(writerFunc(func(b []byte) (int, error) {
		n, err := w.Write(b)
		results <- err
		return n, err
	}), report)
	q.print("lost\n")
	if err := <-results; !errors.Is(err, syscall.EPIPE) {
		t.Errorf("a write without a reader: %v", err)
	}
	reader = open(os.O_RDWR)
	defer func() { _ = reader.Close() }()
	q.print("read\n")
	<-results // the report
	<-results
	q.Close(time.Minute)
	b := make([]byte, 100)
	n, err := reader.Read(b)
	if got := string(b[:n]); err != nil || got != "1 lines dropped\nread\n" {
		t.Errorf("read %q, %v", got, err)
	}
	q.wantDropped(t, 1, 1)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func BenchmarkWrite(b *testing.B) {
	q := New(io.Discard, report)
	defer q.Close(time.Second)
	line := []byte(strings.Repeat("x", 200) + "\n")
	b.ReportAllocs()
	for b.Loop() {
		_, _ = q.Write(line)
	}
}
