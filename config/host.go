package config

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// Host is a DNS name in lower case or an IP address without brackets.
type Host string

var label = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// UnmarshalText refuses what is more than a name: a scheme, a port, a path.
func (h *Host) UnmarshalText(b []byte) error {
	text := strings.TrimSuffix(strings.ToLower(string(b)), ".")
	if text == "" {
		*h = ""
		return nil
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		if addr.IsUnspecified() || addr.Zone() != "" {
			return fmt.Errorf("%s is no address that clients can use", text)
		}
		*h = Host(addr.Unmap().String())
		return nil
	}
	if hint := bareHost(text); hint != "" {
		return fmt.Errorf("want a name or an address alone: write %s", hint)
	}
	if len(text) > 253 {
		return fmt.Errorf("a name has at most 253 characters, this one %d", len(text))
	}
	labels := strings.Split(text, ".")
	for _, l := range labels {
		if !label.MatchString(l) {
			return fmt.Errorf("%q is no DNS name: a label is letters, digits and inner hyphens, got %q", text, l)
		}
	}
	if strings.Trim(labels[len(labels)-1], "0123456789") == "" {
		return fmt.Errorf("%q is neither an IP address nor a DNS name", text)
	}
	*h = Host(text)
	return nil
}

// Addr is the address that h is, or the zero Addr for a name.
func (h Host) Addr() netip.Addr {
	addr, _ := netip.ParseAddr(string(h))
	return addr
}

// bareHost is the host inside a URL, host:port or [address], if text is one.
func bareHost(text string) string {
	host := text
	if _, rest, ok := strings.Cut(host, "://"); ok {
		host = rest
	}
	host, _, _ = strings.Cut(host, "/")
	if inner, _, ok := strings.Cut(strings.TrimPrefix(host, "["), "]"); ok {
		host = inner
	} else if name, port, ok := strings.Cut(host, ":"); ok && strings.Trim(port, "0123456789") == "" {
		host = name
	}
	if host == text {
		return ""
	}
	return host
}

// HostPort is a host and a port as a client names them. Its zero value is none.
type HostPort struct {
	Host Host
	Port uint16
}

// UnmarshalText accepts NAME:PORT, IPv4:PORT and [IPv6]:PORT.
func (h *HostPort) UnmarshalText(b []byte) error {
	host, port, err := net.SplitHostPort(string(b))
	if err != nil || host == "" {
		return fmt.Errorf("want a host and a port such as turn.example.org:443, got %q", b)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return fmt.Errorf("want a port from 1 to 65535 behind the last colon, got %q", port)
	}
	h.Port = uint16(n)
	return h.Host.UnmarshalText([]byte(host))
}

// MarshalText is the inverse of UnmarshalText.
func (h HostPort) MarshalText() ([]byte, error) {
	if h == (HostPort{}) {
		return nil, nil
	}
	return []byte(net.JoinHostPort(string(h.Host), strconv.Itoa(int(h.Port)))), nil
}
