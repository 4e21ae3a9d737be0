package config

import (
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
)

// Access determines which clients may sign in on the signalling hub.
type Access string

// Open lets everybody sign in. ByKey requires one of signal.keys, ByToken a JSON
// Web Token.
const (
	Open    Access = "open"
	ByKey   Access = "key"
	ByToken Access = "jwt"
)

// UnmarshalText accepts open, key and jwt.
func (a *Access) UnmarshalText(b []byte) error { return oneOf(a, b, Open, ByKey, ByToken) }

// Transport is a transport of a TURN listener.
type Transport string

// The transports between a client and the relay.
const (
	UDP     Transport = "udp"
	TCP     Transport = "tcp"
	OverTLS Transport = "tls"
	DTLS    Transport = "dtls"
)

// UnmarshalText accepts udp, tcp, tls and dtls.
func (t *Transport) UnmarshalText(b []byte) error { return oneOf(t, b, UDP, TCP, OverTLS, DTLS) }

// Stream reports whether t runs over TCP.
func (t Transport) Stream() bool { return t == TCP || t == OverTLS }

// Encrypted reports whether t needs a certificate.
func (t Transport) Encrypted() bool { return t == OverTLS || t == DTLS }

// LogFormat is text or json.
type LogFormat string

// The log formats.
const (
	Text LogFormat = "text"
	JSON LogFormat = "json"
)

// UnmarshalText accepts text and json.
func (f *LogFormat) UnmarshalText(b []byte) error { return oneOf(f, b, Text, JSON) }

// LogLevel is debug, info, warn or error.
type LogLevel string

// UnmarshalText accepts debug, info, warn and error.
func (l *LogLevel) UnmarshalText(b []byte) error {
	return oneOf(l, b, "debug", "info", "warn", "error")
}

// Level converts l to slog's type. It implements slog.Leveler.
func (l LogLevel) Level() slog.Level {
	var level slog.Level
	_ = level.UnmarshalText([]byte(l)) // l.UnmarshalText accepts slog's names only
	return level
}

func oneOf[T ~string](to *T, text []byte, allowed ...T) error {
	names := make([]string, len(allowed))
	for i, a := range allowed {
		if string(text) == string(a) {
			*to = a
			return nil
		}
		names[i] = string(a)
	}
	last := len(names) - 1
	return fmt.Errorf("want %s or %s, got %q", strings.Join(names[:last], ", "), names[last], text)
}

// Endpoint is an address and port to listen on. The zero Addr stands for every
// address of the host, 0.0.0.0 for every IPv4 address and :: for every IPv6
// address. Port 0 is any free port, for tests.
type Endpoint struct {
	Addr netip.Addr
	Port uint16
}

// UnmarshalText accepts :PORT, IPv4:PORT and [IPv6]:PORT.
func (e *Endpoint) UnmarshalText(b []byte) error {
	host, port, found := cutLast(string(b), ":")
	if !found {
		return fmt.Errorf("want an address and a port such as :3478 or 127.0.0.1:8080, got %q", b)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return fmt.Errorf("want a port from 0 to 65535 after the last colon, got %q", port)
	}
	e.Port = uint16(n)
	if host == "" {
		return nil
	}
	bracketed := strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]")
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	switch {
	case host == "localhost":
		return errors.New("want an IP address, not a name: write 127.0.0.1 or [::1]")
	case err != nil:
		return fmt.Errorf("want an IP address or nothing before the port, got %q", host)
	case addr.Zone() != "":
		return fmt.Errorf("%s: link-local addresses with a zone are not supported", host)
	case addr.Is6() != bracketed:
		return fmt.Errorf("want brackets around an IPv6 address and around nothing else, got %q", host)
	}
	e.Addr = addr.Unmap()
	return nil
}

// MarshalText is the inverse of UnmarshalText.
func (e Endpoint) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

func (e Endpoint) String() string {
	if !e.Addr.IsValid() {
		return fmt.Sprintf(":%d", e.Port)
	}
	return netip.AddrPortFrom(e.Addr, e.Port).String()
}

// Loopback reports whether only this host can reach e.
func (e Endpoint) Loopback() bool { return e.Addr.IsLoopback() }

// covers reports whether sockets on e and on o would conflict.
func (e Endpoint) covers(o Endpoint) bool {
	if e.Port != o.Port || e.Port == 0 {
		return false
	}
	if !e.Addr.IsValid() || !o.Addr.IsValid() {
		return true
	}
	if e.Addr.Is4() != o.Addr.Is4() {
		return false
	}
	return e.Addr == o.Addr || e.Addr.IsUnspecified() || o.Addr.IsUnspecified()
}

// PortRange is Min to Max, both included.
type PortRange struct{ Min, Max uint16 }

// UnmarshalText accepts MIN-MAX and one port.
func (r *PortRange) UnmarshalText(b []byte) error {
	low, high, isRange := strings.Cut(string(b), "-")
	if !isRange {
		high = low
	}
	lo, err1 := strconv.ParseUint(strings.TrimSpace(low), 10, 16)
	hi, err2 := strconv.ParseUint(strings.TrimSpace(high), 10, 16)
	switch {
	case err1 != nil || err2 != nil || lo == 0:
		return fmt.Errorf("want a range of ports such as 49152-65535, got %q", b)
	case lo > hi:
		return fmt.Errorf("%d-%d is backwards: write %d-%d", lo, hi, hi, lo)
	}
	r.Min, r.Max = uint16(lo), uint16(hi)
	return nil
}

// MarshalText is the inverse of UnmarshalText.
func (r PortRange) MarshalText() ([]byte, error) {
	if r.Min == r.Max {
		return fmt.Append(nil, r.Min), nil
	}
	return fmt.Appendf(nil, "%d-%d", r.Min, r.Max), nil
}

// Prefix is a netip.Prefix without host bits. A single address is a prefix too.
type Prefix struct{ netip.Prefix }

// UnmarshalText accepts CIDR notation and single addresses.
func (p *Prefix) UnmarshalText(b []byte) error {
	text := string(b)
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" && !addr.Is4In6() {
		p.Prefix = netip.PrefixFrom(addr, addr.BitLen())
		return nil
	}
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return fmt.Errorf("want a prefix such as 10.0.0.0/8 or an address, got %q", text)
	case prefix.Addr().Is4In6():
		return fmt.Errorf("%s is an IPv4-mapped prefix: write the IPv4 prefix, which matches both forms", text)
	case prefix != prefix.Masked():
		return fmt.Errorf("%s has bits set beyond its prefix length: write %s", text, prefix.Masked())
	}
	p.Prefix = prefix
	return nil
}

// HexKey is the stored form of a long-term password, 16 bytes.
type HexKey struct{ Secret }

// UnmarshalText accepts 32 hexadecimal digits.
func (k *HexKey) UnmarshalText(b []byte) error {
	if string(b) == hidden {
		return errHidden
	}
	raw, err := hex.DecodeString(string(b))
	if err != nil || len(raw) != 16 {
		return errors.New("want 32 hexadecimal digits, the MD5 of name:realm:password")
	}
	k.value = string(raw)
	return nil
}

// Bytes returns the 16 bytes of the key, or nil if there is no key.
func (k HexKey) Bytes() []byte {
	if k.value == "" {
		return nil
	}
	return []byte(k.value)
}

// Size is a number of bytes.
type Size int64

// UnmarshalText accepts a number of bytes, KiB or MiB.
func (s *Size) UnmarshalText(b []byte) error {
	number, unit := string(b), int64(1)
	for suffix, factor := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20} {
		if rest, ok := strings.CutSuffix(number, suffix); ok {
			number, unit = strings.TrimSpace(rest), factor
			break
		}
	}
	n, err := strconv.ParseUint(number, 10, 31)
	if err != nil {
		return fmt.Errorf("want a number of bytes such as 65536 or 64KiB, got %q", b)
	}
	*s = Size(int64(n) * unit)
	return nil
}

// MarshalText is the inverse of UnmarshalText.
func (s Size) MarshalText() ([]byte, error) {
	switch {
	case s >= 1<<20 && s%(1<<20) == 0:
		return fmt.Appendf(nil, "%dMiB", s>>20), nil
	case s >= 1<<10 && s%(1<<10) == 0:
		return fmt.Appendf(nil, "%dKiB", s>>10), nil
	}
	return fmt.Append(nil, int64(s)), nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
