package certs

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// newPair returns a new certificate and its key in PEM.
func newPair(t *testing.T) (certificate, key []byte) {
	t.Helper()
	d := state(t)
	source(t, d, names, &clock{time.Now()})
	text, err := os.ReadFile(d.Path(fileName))
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(text, []byte("-----BEGIN PRIVATE KEY"))
	return text[:at], text[at:]
}

func put(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// lockedLog is a log that can be read while it is written.
type lockedLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *lockedLog) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *lockedLog) count(part string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Count(w.text.String(), part)
}

// watched is a pair of files that Watch reads in a synctest bubble.
type watched struct {
	*Files
	t         *testing.T
	dir       string
	cert, key string
	log       lockedLog
}

func watch(t *testing.T, dir string) *watched {
	t.Helper()
	w := &watched{t: t, dir: dir, cert: filepath.Join(dir, "fullchain.pem"), key: filepath.Join(dir, "privkey.pem")}
	f, err := NewFiles(w.cert, w.key, slog.New(slog.NewTextHandler(&w.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	w.Files = f
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { f.Watch(ctx) })
	t.Cleanup(func() { cancel(); done.Wait() })
	return w
}

// polled waits for one more poll and returns the serial number that is served.
func (w *watched) polled() string {
	w.t.Helper()
	time.Sleep(pollEvery)
	synctest.Wait()
	return serial(w.t, w.Get)
}

func TestFilesAreReadAgain(t *testing.T) {
	first, firstKey := newPair(t)
	second, secondKey := newPair(t)
	third, thirdKey := newPair(t)
	dir := t.TempDir()
	put(t, filepath.Join(dir, "fullchain.pem"), first)
	put(t, filepath.Join(dir, "privkey.pem"), firstKey)
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, dir)
		before := serial(t, w.Get)
		if w.polled() != before || w.log.count("new certificate") != 0 {
			t.Error("the certificate changed although the files did not")
		}
		put(t, w.cert, second) // the key follows later
		if w.polled() != before || w.Problem() != "" || w.log.count("level=WARN") != 0 {
			t.Errorf("in the middle of an update: %q", w.Problem())
		}
		put(t, w.key, secondKey)
		next := w.polled()
		if next == before || w.log.count("new certificate") != 1 {
			t.Error("the files were not read again")
		}
		for name, text := range map[string][]byte{w.cert: third, w.key: thirdKey} { // renamed into place
			put(t, name+".new", text)
			if err := os.Rename(name+".new", name); err != nil {
				t.Fatal(err)
			}
		}
		if w.polled() == next {
			t.Error("the files were not read again after a rename")
		}
	})
}

// TestLinksThatMove: certbot renews by replacing links in live to files in archive.
func TestLinksThatMove(t *testing.T) {
	dir, archive := t.TempDir(), t.TempDir()
	relink := func(n string) {
		t.Helper()
		certificate, key := newPair(t)
		for name, text := range map[string][]byte{"fullchain": certificate, "privkey": key} {
			target, link := filepath.Join(archive, name+n+".pem"), filepath.Join(dir, name+".pem")
			put(t, target, text)
			if err := os.Symlink(target, link+".new"); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(link+".new", link); err != nil {
				t.Fatal(err)
			}
		}
	}
	relink("1")
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, dir)
		before := serial(t, w.Get)
		relink("2")
		if w.polled() == before {
			t.Error("the files were not read again")
		}
	})
}

func TestBadFilesKeepTheOldCertificate(t *testing.T) {
	certificate, key := newPair(t)
	dir := t.TempDir()
	put(t, filepath.Join(dir, "fullchain.pem"), certificate)
	put(t, filepath.Join(dir, "privkey.pem"), key)
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, dir)
		before := serial(t, w.Get)
		put(t, w.key, []byte("not a key"))
		for range 4 {
			if w.polled() != before {
				t.Error("another certificate is served")
			}
		}
		if !strings.Contains(w.Problem(), w.key) || w.log.count("level=WARN") != 1 {
			t.Errorf("problem %q, logged %d times", w.Problem(), w.log.count("level=WARN"))
		}
		if _, err := w.Prepare(w.cert, w.key); err == nil {
			t.Error("Prepare accepted a bad key")
		}
		put(t, w.key, key)
		if w.polled() != before || w.Problem() != "" {
			t.Errorf("after the files were repaired: %q", w.Problem())
		}
	})
}

func TestPrepare(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	for _, d := range []string{dir, other} {
		certificate, key := newPair(t)
		put(t, filepath.Join(d, "fullchain.pem"), certificate)
		put(t, filepath.Join(d, "privkey.pem"), key)
	}
	f, err := NewFiles(filepath.Join(dir, "fullchain.pem"), filepath.Join(dir, "privkey.pem"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	before := serial(t, f.Get)
	set, err := f.Prepare(filepath.Join(other, "fullchain.pem"), filepath.Join(other, "privkey.pem"))
	if err != nil || serial(t, f.Get) != before {
		t.Fatalf("prepared: %v", err)
	}
	if set(); serial(t, f.Get) == before {
		t.Error("set did not change the certificate")
	}
	if _, err := NewFiles(filepath.Join(dir, "none"), "none", nil); err == nil {
		t.Error("no error for files that are not there")
	}
}
