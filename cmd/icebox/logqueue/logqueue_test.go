package logqueue

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func report(w io.Writer, lines int) { fmt.Fprintf(w, "%d lines dropped\n", lines) }

// stuckFile blocks in Write until it is released.
type stuckFile struct {
	released chan struct{}
	got      strings.Builder
}

func (f *stuckFile) Write(b []byte) (int, error) {
	<-f.released
	return f.got.Write(b)
}

func TestLinesKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got strings.Builder
		q := New(&got, report)
		var want strings.Builder
		for i := range 1000 {
			line := fmt.Sprintf("line %d\n", i)
			want.WriteString(line)
			if n, err := q.Write([]byte(line)); n != len(line) || err != nil {
				t.Fatal(n, err)
			}
		}
		q.Close(time.Second)
		if got.String() != want.String() {
			t.Errorf("got %d bytes, want %d, in order", got.Len(), want.Len())
		}
		if n := testutil.ToFloat64(q.droppedTotal); n != 0 {
			t.Errorf("%v lines dropped", n)
		}
	})
}

// While the file blocks, Write returns at once. Lines beyond 1 MiB are dropped, counted, and reported where they are missing.
func TestStuckFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &stuckFile{released: make(chan struct{})}
		q := New(f, report)
		line := []byte(strings.Repeat("x", 1023) + "\n")
		_, _ = q.Write(line)
		synctest.Wait() // the goroutine has taken the first line and blocks
		const fit, extra = maxPending / 1024, 17
		for range fit + extra {
			_, _ = q.Write(line)
		}
		if n := testutil.ToFloat64(q.droppedTotal); n != extra {
			t.Errorf("%v lines dropped, want %d", n, extra)
		}
		close(f.released)
		synctest.Wait()
		_, _ = q.Write([]byte("after\n"))
		q.Close(time.Second)
		lines := strings.Split(f.got.String(), "\n")
		if len(lines) != 1+fit+3 || lines[1+fit] != "17 lines dropped" || lines[1+fit+1] != "after" {
			t.Errorf("%d lines, ending in %q", len(lines), lines[max(0, len(lines)-3):])
		}
	})
}

// Close gives up when the file blocks.
func TestCloseWhileStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &stuckFile{released: make(chan struct{})}
		q := New(f, report)
		_, _ = q.Write([]byte("a line\n"))
		synctest.Wait()
		start := time.Now()
		q.Close(time.Second)
		if d := time.Since(start); d != time.Second {
			t.Errorf("Close took %v", d)
		}
		_, _ = q.Write([]byte("too late\n"))
		if n := testutil.ToFloat64(q.droppedTotal); n != 1 {
			t.Errorf("%v lines dropped, want 1", n)
		}
		close(f.released)
		<-q.done
	})
}

// A pipe without a reader loses lines, and the next reader gets the next lines.
func TestReaderIsGone(t *testing.T) {
	dir := t.TempDir() + "/pipe"
	if err := syscall.Mkfifo(dir, 0o600); err != nil {
		t.Fatal(err)
	}
	open := func() *os.File {
		t.Helper()
		r, err := os.OpenFile(dir, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	reader := open()
	file, err := os.OpenFile(dir, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	reader.Close()
	failed := make(chan struct{}, 1)
	q := New(writerFunc(func(b []byte) (int, error) {
		n, err := file.Write(b)
		if err != nil {
			failed <- struct{}{}
		}
		return n, err
	}), report)
	_, _ = q.Write([]byte("lost\n"))
	<-failed
	reader = open()
	defer reader.Close()
	_, _ = q.Write([]byte("read\n"))
	b := make([]byte, 100)
	n, err := reader.Read(b)
	if err != nil || string(b[:n]) != "read\n" {
		t.Errorf("read %q, %v", b[:n], err)
	}
	q.Close(time.Minute)
	if e, d := testutil.ToFloat64(q.errorsTotal), testutil.ToFloat64(q.droppedTotal); e != 1 || d != 1 {
		t.Errorf("%v errors, %v lines dropped; want 1, 1", e, d)
	}
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
