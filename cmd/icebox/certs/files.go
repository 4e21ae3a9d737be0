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

// pollEvery is the interval at which the files are checked.
const pollEvery = 5 * time.Second

// Files is the newest certificate that could be read from two files.
type Files struct {
	log     *slog.Logger
	current atomic.Pointer[pair]

	mu     sync.Mutex // held while the files are read
	failed error      // why the files could not be read again; nil if their content is served
}

// pair is a certificate and its key, read from two files.
type pair struct {
	certificate, key string // names of the files
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

// Prepare reads other files, or the same ones again. set, which cannot fail, makes them the files to serve and to watch.
func (f *Files) Prepare(certificate, key string) (set func(), err error) {
	p, err := readPair(certificate, key)
	if err != nil {
		return nil, err
	}
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.serve(p)
	}, nil
}

// serve makes p the certificate to serve. The caller holds mu.
func (f *Files) serve(p *pair) {
	before := f.current.Swap(p)
	f.failed = nil
	if before.tls.Leaf.SerialNumber.Cmp(p.tls.Leaf.SerialNumber) != 0 || !before.tls.Leaf.Equal(p.tls.Leaf) {
		f.log.Info("serving a new certificate", "serial", p.tls.Leaf.SerialNumber.Text(16), "expires", p.tls.Leaf.NotAfter)
	}
}

// Watch reads the files again whenever they have changed, until ctx is done.
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

// poll reads the files if they have changed since they were read, or if the last attempt failed. It logs the second failure in a
// row, because a single one may come from an update in progress.
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
		f.serve(p)
	case f.failed == nil:
		f.failed = err
	default:
		var logged *persistent
		if !errors.As(f.failed, &logged) || logged.Error() != err.Error() {
			f.log.Warn("the certificate files cannot be used, so the old certificate stays in use", "error", err)
		}
		f.failed = &persistent{err}
	}
}

// persistent is a failure that has been logged.
type persistent struct{ error }

// Problem returns why the files could not be read again, or "" if they could or a single attempt failed.
func (f *Files) Problem() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var logged *persistent
	if errors.As(f.failed, &logged) {
		return fmt.Sprintf("the certificate files cannot be used, so the old certificate stays in use: %v", logged.error)
	}
	return ""
}

// readPair reads the files. It reads the stamps before the content, so the next poll finds a change in between.
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
