package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// hidden stands for every secret that is printed.
const hidden = "<hidden>"

var errHidden = errors.New("this is a printed configuration: the secret itself is missing")

// Secret is a value that shows itself only to who asks by Reveal: fmt, slog
// and every encoder get <hidden>.
type Secret struct{ value string }

// NewSecret is for callers that did not load theirs.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal is the secret itself.
func (s Secret) Reveal() string { return s.value }

// IsZero reports whether there is none.
func (s Secret) IsZero() bool { return s.value == "" }

// UnmarshalText takes any text but the one that stands for a hidden secret.
func (s *Secret) UnmarshalText(b []byte) error {
	if string(b) == hidden {
		return errHidden
	}
	s.value = string(b)
	return nil
}

// MarshalText hides the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Format hides the secret from every verb of package fmt.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue hides the secret from package slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

func (s Secret) String() string {
	if s.value == "" {
		return ""
	}
	return hidden
}

// A secret or certificate file larger than this is a mistake.
const maxFile = 1 << 20

// readFile reads a regular file of a sensible size.
func readFile(name string) ([]byte, os.FileMode, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, 0, Unreadable(name, err)
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, 0, fmt.Errorf("read %s: not a regular file", name)
	case info.Size() > maxFile:
		return nil, 0, fmt.Errorf("read %s: larger than %d bytes", name, maxFile)
	}
	data, err := os.ReadFile(name)
	return data, info.Mode().Perm(), Unreadable(name, err)
}

// secretFile reads the secret in the file called name, without the newline
// that editors and echo put behind it.
func (c *checker) secretFile(path, name string) Secret {
	data, mode, err := c.readFile(c.resolve(name))
	if err != nil {
		c.fail(path, "%w", err)
		return Secret{}
	}
	if mode&0o004 != 0 {
		c.warn(path, "every user of this host may read %s: chmod 640 it", c.resolve(name))
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if text == "" {
		c.fail(path, "%s is empty", c.resolve(name))
	}
	return Secret{text}
}

// resolve makes a file name of the configuration relative to its file.
func (c *checker) resolve(name string) string {
	if filepath.IsAbs(name) || c.dir == "" {
		return name
	}
	return filepath.Join(c.dir, name)
}
