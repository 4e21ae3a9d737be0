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

// hidden is printed instead of a secret.
const hidden = "<hidden>"

var errHidden = errors.New("<hidden> stands for a secret in a printed configuration: write the secret itself")

// Secret is a text that only Reveal returns. fmt, slog and every encoder print <hidden> instead.
type Secret struct{ value string }

// NewSecret returns a Secret for callers that did not load it from a file.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return s.value }

// IsZero reports whether the secret is unset.
func (s Secret) IsZero() bool { return s.value == "" }

// UnmarshalText accepts any text except the one that stands for a hidden secret.
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

// maxFile is the greatest size in bytes of a secret or certificate file. A larger file is a mistake.
const maxFile = 1 << 20

// readFile reads a regular file of at most maxFile bytes.
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

// secretFile reads the secret in the file called name, without the newline that
// editors and echo append.
func (c *checker) secretFile(path, name string) Secret {
	data, mode, err := c.readFile(c.resolve(name))
	if err != nil {
		c.fail(path, "%w", err)
		return Secret{}
	}
	if mode&0o004 != 0 {
		c.warn(path, "every user of this host can read %s: run chmod 640 on it", c.resolve(name))
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if text == "" {
		c.fail(path, "%s is empty", c.resolve(name))
	}
	return Secret{text}
}

// resolve returns name relative to the directory of the configuration file.
func (c *checker) resolve(name string) string {
	if filepath.IsAbs(name) || c.dir == "" {
		return name
	}
	return filepath.Join(c.dir, name)
}
