// Package proxyproto takes the client's address from a proxy that tells it in
// the PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt).
//
// Whoever may send the header may claim to be anybody, so it is taken from trusted
// addresses alone: from them it must be the first that comes, since what follows
// could not be told from it otherwise. Other addresses are clients themselves,
// and what they send is theirs.
//
// The parser is our own, and reads not one byte beyond the header: libraries
// read it when the connection's address is asked for, which holds up a server that asks
// between two Accepts, and put a buffer in front of the connection for good.
package proxyproto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// Header is what a proxy says about a connection. Both addresses are the zero
// AddrPort when it speaks for itself, or of what has no IP address.
type Header struct {
	Source, Destination netip.AddrPort // the client, and where it connected to
}

// The beginnings of both versions; that of version 2 has 12 bytes, and no header of
// version 1 is as short.
const (
	begin1 = "PROXY "
	begin2 = "\r\n\r\n\x00\r\nQUIT\n"
)

const (
	longest1 = 107  // bytes of a line of version 1, CR and LF included
	longest2 = 4096 // bytes behind the fixed part of version 2; the protocol allows 65,535
)

// errNoHeader is told of connections that begin otherwise.
var errNoHeader = errors.New("there is no PROXY header")

// Read reads a header from r, and nothing of what follows it.
func Read(r io.Reader) (Header, error) {
	start := make([]byte, len(begin2), longest1)
	if _, err := io.ReadFull(r, start); err != nil {
		return Header{}, fmt.Errorf("read PROXY header: %w", err)
	}
	switch {
	case string(start) == begin2:
		return read2(r)
	case bytes.HasPrefix(start, []byte(begin1)):
		return read1(r, start)
	}
	return Header{}, errNoHeader
}

// read1 reads the rest of a line of version 1.
func read1(r io.Reader, line []byte) (Header, error) {
	for !bytes.HasSuffix(line, []byte("\r\n")) {
		if len(line) == longest1 {
			return Header{}, errors.New("the line of a PROXY header does not end")
		}
		line = line[:len(line)+1]
		if _, err := io.ReadFull(r, line[len(line)-1:]); err != nil {
			return Header{}, fmt.Errorf("read PROXY header: %w", err)
		}
	}
	text := strings.TrimSuffix(string(line), "\r\n")
	fields := strings.Split(text, " ")
	if fields[1] == "UNKNOWN" {
		return Header{}, nil
	}
	if len(fields) != 6 || fields[1] != "TCP4" && fields[1] != "TCP6" {
		return Header{}, fmt.Errorf("%q is no PROXY header", text)
	}
	source, err1 := endpoint(fields[2], fields[4])
	destination, err2 := endpoint(fields[3], fields[5])
	if err := errors.Join(err1, err2); err != nil {
		return Header{}, fmt.Errorf("%q is no PROXY header: %w", text, err)
	}
	if four := fields[1] == "TCP4"; source.Addr().Is4() != four || destination.Addr().Is4() != four {
		return Header{}, fmt.Errorf("%q is no PROXY header: the addresses are of another family", text)
	}
	return Header{source, destination}, nil
}

func endpoint(host, port string) (netip.AddrPort, error) {
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Zone() != "" {
		return netip.AddrPort{}, fmt.Errorf("%q is no address", host)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q is no port", port)
	}
	return netip.AddrPortFrom(addr, uint16(n)), nil
}

// Bits of version 2.
const (
	version2 = 0x20 // in the upper half of the 13th byte
	local    = 0    // in its lower half: the proxy speaks for itself
	proxied  = 1
	tcp4     = 0x11 // the 14th byte
	tcp6     = 0x21
)

// read2 reads what follows the beginning of version 2.
func read2(r io.Reader) (Header, error) {
	var fixed [4]byte
	if _, err := io.ReadFull(r, fixed[:]); err != nil {
		return Header{}, fmt.Errorf("read PROXY header: %w", err)
	}
	size := int(binary.BigEndian.Uint16(fixed[2:]))
	switch {
	case fixed[0]&0xf0 != version2:
		return Header{}, fmt.Errorf("PROXY header of an unknown version, %#x", fixed[0])
	case size > longest2:
		return Header{}, fmt.Errorf("a PROXY header of %d bytes is too long", size)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return Header{}, fmt.Errorf("read PROXY header: %w", err)
	}
	switch command := fixed[0] & 0x0f; {
	case command == local:
		return Header{}, nil
	case command != proxied:
		return Header{}, fmt.Errorf("PROXY header with an unknown command, %d", command)
	case fixed[1] == tcp4:
		return addresses(body, 4)
	case fixed[1] == tcp6:
		return addresses(body, 16)
	}
	return Header{}, nil // of what we can't tell the address, as the protocol wants it
}

// addresses reads both, of size bytes each, then both ports. What follows them says
// nothing that we need.
func addresses(body []byte, size int) (Header, error) {
	if len(body) < 2*size+4 {
		return Header{}, fmt.Errorf("a PROXY header with %d bytes of addresses is too short", len(body))
	}
	source, _ := netip.AddrFromSlice(body[:size])
	destination, _ := netip.AddrFromSlice(body[size : 2*size])
	ports := body[2*size:]
	return Header{
		netip.AddrPortFrom(source.Unmap(), binary.BigEndian.Uint16(ports)),
		netip.AddrPortFrom(destination.Unmap(), binary.BigEndian.Uint16(ports[2:])),
	}, nil
}
