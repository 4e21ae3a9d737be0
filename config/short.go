package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// The methods in this file accept a record as one scalar, for flags and
// environment variables. In a list the scalar stands for the record's first key.

// UnmarshalText accepts self-signed, acme and off. Other values need a record.
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

// UnmarshalText accepts PUBLIC and PUBLIC/PRIVATE.
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

// UnmarshalText accepts the address alone.
func (l *TURNListen) UnmarshalText(b []byte) error { return l.Address.UnmarshalText(b) }

// UnmarshalText accepts the address alone.
func (l *HTTPListen) UnmarshalText(b []byte) error { return l.Address.UnmarshalText(b) }

// UnmarshalText accepts the origin alone.
func (o *Origin) UnmarshalText(b []byte) error {
	o.Origin = string(b)
	return nil
}
