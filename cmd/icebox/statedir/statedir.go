// Package statedir keeps files that the daemon generates in one directory across restarts, such as the secret that TURN
// credentials are minted with.
//
// A file of the directory is either absent or complete, because this package writes it under another name, flushes it
// to disk and renames it. Meanwhile a lock on the directory keeps out all other processes of the host. So two daemons
// that start at the same time agree on one secret, and a crash leaves no truncated one.
//
// Files have mode 0600. A directory that this package makes has mode 0700. Root gives new files to the directory's owner,
// because the daemon's own user must be able to read a secret that root has generated.
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
	// secretBytes is how many random bytes a secret has. The file has them in hexadecimal.
	secretBytes = 32
)

// Dir is an open state directory.
type Dir struct {
	path string
	log  *slog.Logger
}

// Open opens a state directory and makes it if it does not exist. Open refuses a directory that every user may write to.
func Open(path string, log *slog.Logger) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make state directory: %w", err)
	}
	return existing(path, log)
}

// OpenExisting is Open without making the directory, for callers that only read.
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

// Path returns the path of the file called name.
func (d *Dir) Path(name string) string { return filepath.Join(d.path, name) }

// Read returns the content of the file called name, or fs.ErrNotExist if it was never written.
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

// Obtain returns the content of the file called name. If the file does not exist, or usable returns false for its content, Obtain
// replaces it by the content that generate returns. If usable returns an error, Obtain returns that and leaves the file as it is.
func (d *Dir) Obtain(name string, usable func([]byte) (bool, error), generate func() ([]byte, error)) ([]byte, error) {
	unlock, err := d.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	data, err := d.Read(name)
	switch {
	case err == nil:
		if ok, err := usable(data); ok || err != nil {
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

// Secret returns the secret called name, and generates it if it does not exist.
func (d *Dir) Secret(name string) ([]byte, error) {
	data, err := d.Obtain(name,
		func(data []byte) (bool, error) {
			_, err := d.parseSecret(name, data)
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
	return d.parseSecret(name, data)
}

// ReadSecret returns the secret called name, or fs.ErrNotExist if it was never generated.
func (d *Dir) ReadSecret(name string) ([]byte, error) {
	data, err := d.Read(name)
	if err != nil {
		return nil, err
	}
	return d.parseSecret(name, data)
}

// parseSecret returns the secret in a file. It refuses a truncated or empty file: a short secret could be guessed, and a new one
// would invalidate all credentials without notice.
func (d *Dir) parseSecret(name string, data []byte) ([]byte, error) {
	text := strings.TrimSpace(string(data))
	if len(text) < secretBytes {
		return nil, fmt.Errorf("read state: %s is damaged: restore it, or remove it to have a new one generated", d.Path(name))
	}
	return []byte(text), nil
}

// lock excludes other processes and other Dirs until unlock is called.
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
	return func() { _ = f.Close() }, nil // Close unlocks the file
}

// write replaces the content of the file called name. If it fails, the file is unchanged.
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

// sync makes a rename in the directory survive a power failure.
func (d *Dir) sync() error {
	f, err := os.Open(d.path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return f.Sync()
}

// handOver makes the directory's owner the owner of f if this process runs as root.
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
