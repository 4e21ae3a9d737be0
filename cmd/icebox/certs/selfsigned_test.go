package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"

	"icebox/cmd/icebox/statedir"
)

var names = []string{"turn.example.org", "::1", "127.0.0.1", "127.0.0.1"}

type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

func state(t *testing.T) *statedir.Dir {
	t.Helper()
	d, err := statedir.Open(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func source(t *testing.T, d *statedir.Dir, names []string, c *clock) Source {
	t.Helper()
	s, err := SelfSigned(d, names, c.now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func serial(t *testing.T, s Source) string {
	t.Helper()
	c, err := s()
	if err != nil {
		t.Fatal(err)
	}
	return c.Leaf.SerialNumber.String()
}

func TestHandshake(t *testing.T) {
	s := source(t, state(t), names, &clock{time.Now()})
	pair, err := s()
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(pair.Leaf)
	for name, ok := range map[string]bool{"turn.example.org": true, "127.0.0.1": true, "::1": true, "other.example.org": false} {
		listener, err := tls.Listen("tcp", "127.0.0.1:0", s.Config("http/1.1"))
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan struct{})
		go func() {
			defer close(served)
			if c, err := listener.Accept(); err == nil {
				_, _ = io.Copy(io.Discard, c)
				_ = c.Close()
			}
		}()
		dialer := &net.Dialer{Timeout: 5 * time.Second}
		c, err := tls.DialWithDialer(dialer, "tcp", listener.Addr().String(), &tls.Config{RootCAs: roots, ServerName: name})
		if (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			_ = c.Close()
		}
		_ = listener.Close()
		<-served
	}
	if pair.Leaf.IsCA {
		t.Error("the certificate can sign other certificates")
	}
}

func TestSelfSignedSurvivesRestarts(t *testing.T) {
	d, now := state(t), &clock{time.Now()}
	first := serial(t, source(t, d, names, now))
	if again := serial(t, source(t, d, names, now)); again != first {
		t.Error("a restart made a new certificate")
	}
	info, err := os.Stat(d.Path(fileName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if other := serial(t, source(t, d, append(names, "other"), now)); other == first {
		t.Error("a start with other names used the same certificate")
	}
}

func TestSelfSignedIsRenewedWhileRunning(t *testing.T) {
	d, now := state(t), &clock{time.Now()}
	s := source(t, d, names, now)
	first := serial(t, s)
	now.Time = now.Add(validity - renewal - time.Minute)
	if serial(t, s) != first {
		t.Error("the certificate was renewed too early")
	}
	now.Time = now.Add(2 * time.Minute)
	second := serial(t, s)
	if second == first {
		t.Error("the certificate was not renewed")
	}
	if serial(t, source(t, d, names, now)) != second {
		t.Error("the renewed certificate was not stored")
	}
}

func TestDamagedSelfSignedIsReplaced(t *testing.T) {
	d, now := state(t), &clock{time.Now()}
	if err := os.WriteFile(d.Path(fileName), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	serial(t, source(t, d, names, now))
}

func TestNoKeyInLog(t *testing.T) {
	var log bytes.Buffer
	d, err := statedir.Open(t.TempDir(), slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	serial(t, source(t, d, names, &clock{time.Now()}))
	if log.Len() == 0 || bytes.Contains(log.Bytes(), []byte("PRIVATE")) {
		t.Errorf("log %s", log.String())
	}
}
