package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"icebox/config"
)

// pollEvery is how often the files are looked at.
const pollEvery = 5 * time.Second

// Files is the certificate in two files, the newest that could be read.
type Files struct {
	log     *slog.Logger
	current atomic.Pointer[pair]

	mu     sync.Mutex // held while files are read
	failed error      // why the files are not what is served; nil when they are
}

// pair is what was read from two files.
type pair struct {
	certificate, key string // names
	stamps           [2]fs.FileInfo
	tls              *tls.Certificate
}

// NewFiles reads a certificate chain and its key.
func NewFiles(certificate, key string, log *slog.Logger) (*Files, error) {
	p, err := readPair(certificate, key)
	if err != nil {
		return nil, err
	}
	f := &Files{log: log}
	f.current.Store(p)
	return f, nil
}

// Get is a Source.
func (f *Files) Get() (*tls.Certificate, error) { return f.current.Load().tls, nil }

// Prepare reads other files, or the same again. They are served from now on
// once set is called, which can't fail.
func (f *Files) Prepare(certificate, key string) (set func(), err error) {
	p, err := readPair(certificate, key)
	if err != nil {
		return nil, err
	}
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.take(p)
	}, nil
}

// take serves p from now on. mu is held.
func (f *Files) take(p *pair) {
	before := f.current.Swap(p)
	f.failed = nil
	if before.tls.Leaf.SerialNumber.Cmp(p.tls.Leaf.SerialNumber) != 0 || !before.tls.Leaf.Equal(p.tls.Leaf) {
		f.log.Info("serving a new certificate", "serial", p.tls.Leaf.SerialNumber.Text(16), "expires", p.tls.Leaf.NotAfter)
	}
}

// Watch reads the files again whenever they have changed, until ctx ends.
func (f *Files) Watch(ctx context.Context) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			f.poll()
		case <-ctx.Done():
			return
		}
	}
}

// poll reads the files if they are not the ones that were read, or could not be
// read the last time. The second failure in a row is told: one alone may be a look at
// the midst of an update.
func (f *Files) poll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	served := f.current.Load()
	stamps, err := stamp(served.certificate, served.key)
	if err == nil && f.failed == nil && same(stamps, served.stamps) {
		return
	}
	p, err := readPair(served.certificate, served.key)
	switch {
	case err == nil:
		f.take(p)
	case f.failed == nil:
		f.failed = err
	default:
		var told *persistent
		if !errors.As(f.failed, &told) || told.Error() != err.Error() {
			f.log.Warn("the certificate files cannot be used, the old certificate stays", "error", err)
		}
		f.failed = &persistent{err}
	}
}

// persistent is a failure that was told.
type persistent struct{ error }

// Problem says why the files are not what is served, "" when they are or may
// soon be.
func (f *Files) Problem() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var told *persistent
	if errors.As(f.failed, &told) {
		return fmt.Sprintf("the certificate files cannot be used, the old certificate stays: %v", told.error)
	}
	return ""
}

// readPair reads the files. The stamps are older than what was read, so that a
// change in between is found by the next look.
func readPair(certificate, key string) (*pair, error) {
	stamps, err := stamp(certificate, key)
	if err != nil {
		return nil, err
	}
	var texts [2][]byte
	for i, name := range []string{certificate, key} {
		if texts[i], err = os.ReadFile(name); err != nil {
			return nil, fmt.Errorf("read certificate: %w", config.Unreadable(name, err))
		}
	}
	t, err := tls.X509KeyPair(texts[0], texts[1])
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", certificate, key, err)
	}
	return &pair{certificate, key, stamps, &t}, nil
}

func stamp(names ...string) (stamps [2]fs.FileInfo, err error) {
	for i, name := range names {
		if stamps[i], err = os.Stat(name); err != nil {
			return stamps, fmt.Errorf("read certificate: %w", config.Unreadable(name, err))
		}
	}
	return stamps, nil
}

func same(a, b [2]fs.FileInfo) bool {
	for i := range a {
		if !os.SameFile(a[i], b[i]) || a[i].Size() != b[i].Size() || !a[i].ModTime().Equal(b[i].ModTime()) {
			return false
		}
	}
	return true
}
