package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// Records that can be written as one scalar, which flags and environment
// variables need. In a list the scalar stands for the record's first key.

// UnmarshalText accepts self-signed, acme and off; a record says more.
func (t *TLS) UnmarshalText(b []byte) error {
	switch string(b) {
	case "off":
		*t = TLS{}
	case "self-signed":
		*t = TLS{SelfSigned: true}
	case "acme":
		*t = TLS{ACME: ACME{Directory: letsEncrypt}}
	default:
		return fmt.Errorf("want self-signed, acme, off or {certificate: FILE, key: FILE}, got %q", b)
	}
	return nil
}

// UnmarshalText accepts PUBLIC and PUBLIC/PRIVATE, for flags and environment.
func (e *ExternalIP) UnmarshalText(b []byte) error {
	public, private, both := strings.Cut(string(b), "/")
	var err error
	if e.Public, err = netip.ParseAddr(public); err == nil && both {
		e.Private, err = netip.ParseAddr(private)
	}
	if err != nil {
		return fmt.Errorf("want PUBLIC or PUBLIC/PRIVATE addresses, got %q", b)
	}
	return nil
}

// UnmarshalText accepts the address alone, for flags and environment.
func (l *TURNListen) UnmarshalText(b []byte) error { return l.Address.UnmarshalText(b) }

// UnmarshalText accepts the address alone, for flags and environment.
func (l *HTTPListen) UnmarshalText(b []byte) error { return l.Address.UnmarshalText(b) }

// UnmarshalText accepts the origin alone, for flags and environment.
func (o *Origin) UnmarshalText(b []byte) error {
	o.Origin = string(b)
	return nil
}
