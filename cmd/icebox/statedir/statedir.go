// Package statedir keeps what the daemon generates itself, such as the secret
// that it mints credentials with, in one directory across restarts.
//
// A file of the directory is either absent or whole: it is written under
// another name, flushed to disk and renamed, while a lock on the directory
// keeps every other process of the host out. So two daemons that start at once
// agree on one secret, and a crash leaves no half of one.
//
// Files have mode 0600, a directory made here 0700. Root gives new files to the
// directory's owner, because a secret that root made must be readable for the
// daemon's own user later.
package statedir

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// MintingSecret is the name of the secret that TURN credentials are minted and verified with.
const MintingSecret = "minting.secret"

const (
	lockName = "lock"
	// secretBytes of randomness are in a secret, in hexadecimal.
	secretBytes = 32
)

// Dir is an open state directory.
type Dir struct {
	path string
	log  *slog.Logger
}

// Open makes the directory if it is not there. It refuses one that other users
// may write to.
func Open(path string, log *slog.Logger) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make state directory: %w", err)
	}
	return existing(path, log)
}

// OpenExisting is Open for those who only read: it makes nothing.
func OpenExisting(path string, log *slog.Logger) (*Dir, error) {
	return existing(path, log)
}

func existing(path string, log *slog.Logger) (*Dir, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("open state directory: %w", err)
	case !info.IsDir():
		return nil, fmt.Errorf("open state directory: %s is not a directory", path)
	case info.Mode().Perm()&0o002 != 0:
		return nil, fmt.Errorf("open state directory: every user may write to %s: chmod 700 it", path)
	}
	return &Dir{path: path, log: log}, nil
}

// Path is where the file called name is.
func (d *Dir) Path(name string) string { return filepath.Join(d.path, name) }

// Read is the content of the file called name, an fs.ErrNotExist when it was
// never made.
func (d *Dir) Read(name string) ([]byte, error) {
	path := d.Path(name)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		d.log.Warn("state file was open to other users", "file", path, "mode", info.Mode().Perm().String())
		if err := os.Chmod(path, 0o600); err != nil {
			return nil, fmt.Errorf("close state file: %w", err)
		}
	}
	return data, nil
}

// Obtain is the content of the file called name. When it is not there, or keep
// returns false for it, it is replaced by what generate returns. An error from
// keep leaves the file alone and is returned.
func (d *Dir) Obtain(name string, keep func([]byte) (bool, error), generate func() ([]byte, error)) ([]byte, error) {
	unlock, err := d.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	data, err := d.Read(name)
	switch {
	case err == nil:
		if ok, err := keep(data); ok || err != nil {
			return data, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	if data, err = generate(); err != nil {
		return nil, fmt.Errorf("generate %s: %w", name, err)
	}
	if err := d.write(name, data); err != nil {
		return nil, fmt.Errorf("write state: %w", err)
	}
	d.log.Info("generated", "file", d.Path(name))
	return data, nil
}

// Replace makes data the content of the file called name.
func (d *Dir) Replace(name string, data []byte) error {
	unlock, err := d.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := d.write(name, data); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}

// Secret is the secret called name, generated when it is not there.
func (d *Dir) Secret(name string) ([]byte, error) {
	data, err := d.Obtain(name,
		func(data []byte) (bool, error) {
			_, err := d.secret(name, data)
			return true, err
		},
		func() ([]byte, error) {
			raw := make([]byte, secretBytes)
			rand.Read(raw) // never fails
			return []byte(hex.EncodeToString(raw) + "\n"), nil
		})
	if err != nil {
		return nil, err
	}
	return d.secret(name, data)
}

// ReadSecret is the secret called name, an fs.ErrNotExist when it was never
// generated.
func (d *Dir) ReadSecret(name string) ([]byte, error) {
	data, err := d.Read(name)
	if err != nil {
		return nil, err
	}
	return d.secret(name, data)
}

// secret refuses a file that was cut short or emptied: going on with it would
// let everybody guess, and replacing it would end every credential silently.
func (d *Dir) secret(name string, data []byte) ([]byte, error) {
	text := strings.TrimSpace(string(data))
	if len(text) < secretBytes {
		return nil, fmt.Errorf("read state: %s is damaged: restore it, or remove it to have a new one generated", d.Path(name))
	}
	return []byte(text), nil
}

// lock keeps other processes and other Dirs out until the returned func is
// called.
func (d *Dir) lock() (unlock func(), err error) {
	f, err := os.OpenFile(d.Path(lockName), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock state directory: %w", err)
	}
	if err := d.handOver(f); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock state directory: %w", err)
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock state directory: %w", err)
	}
	return func() { _ = f.Close() }, nil // closing it unlocks it
}

// write replaces the file called name, or leaves it as it was.
func (d *Dir) write(name string, data []byte) (err error) {
	f, err := os.CreateTemp(d.path, "."+name+".*") // 0600, O_EXCL
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := d.handOver(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), d.Path(name)); err != nil {
		return err
	}
	return d.sync()
}

// sync makes a rename in the directory survive a power cut.
func (d *Dir) sync() error {
	f, err := os.Open(d.path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return f.Sync()
}

// handOver gives f to the owner of the directory when root made it.
func (d *Dir) handOver(f *os.File) error {
	info, err := os.Stat(d.path)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 || owner.Uid == 0 {
		return nil
	}
	return f.Chown(int(owner.Uid), int(owner.Gid))
}
