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

// UnmarshalText refuses a name with a scheme, a port or a path.
func (h *Host) UnmarshalText(b []byte) error {
	text := strings.TrimSuffix(strings.ToLower(string(b)), ".")
	if text == "" {
		*h = ""
		return nil
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		if addr.IsUnspecified() || addr.Zone() != "" {
			return fmt.Errorf("%s is not an address that clients can use", text)
		}
		*h = Host(addr.Unmap().String())
		return nil
	}
	if hint := bareHost(text); hint != "" {
		return fmt.Errorf("want only a name or an address: write %s", hint)
	}
	if len(text) > 253 {
		return fmt.Errorf("a name has at most 253 characters, this one has %d", len(text))
	}
	labels := strings.Split(text, ".")
	for _, l := range labels {
		if !label.MatchString(l) {
			return fmt.Errorf("%q is not a DNS name: a label has letters, digits and inner hyphens, got %q", text, l)
		}
	}
	if strings.Trim(labels[len(labels)-1], "0123456789") == "" {
		return fmt.Errorf("%q is neither an IP address nor a DNS name", text)
	}
	*h = Host(text)
	return nil
}

// Addr returns the address in h, or the zero Addr if h is a name.
func (h Host) Addr() netip.Addr {
	addr, _ := netip.ParseAddr(string(h))
	return addr
}

// bareHost returns the host inside a URL, a host:port or an [address], or "" if text
// is none of these.
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

// HostPort is a host and a port as clients use them. The zero value means unset.
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
		return fmt.Errorf("want a port from 1 to 65535 after the last colon, got %q", port)
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
