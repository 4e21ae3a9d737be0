// Package proxyproto reads client addresses from the headers of the PROXY protocol, versions 1 and 2 (haproxy.org,
// proxy-protocol.txt).
//
// The sender of a header can claim any client address, so headers are read from trusted proxies only. A trusted proxy
// must start every connection with a header, because the parser cannot tell a missing header from data of the client.
// Connections from all other addresses are those of clients. Their data is passed on unread.
//
// The parser is our own and never reads a byte beyond the header. Libraries read the header when the server first asks for
// the connection's address, which blocks a server that asks between two Accepts. They also leave a buffer in front of the
// connection for its whole life.
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

// Header has the addresses of a client's connection to a proxy. Both are the zero AddrPort if the proxy connected on its own
// account, or if the client has no IP address.
type Header struct {
	Source, Destination netip.AddrPort // the client's address, and the address that the client connected to
}

// The first bytes of a header of each version. Every header of version 1 is longer than the 12 bytes of begin2.
const (
	begin1 = "PROXY "
	begin2 = "\r\n\r\n\x00\r\nQUIT\n"
)

const (
	longest1 = 107  // bytes of a line of version 1, including CR and LF
	longest2 = 4096 // bytes after the fixed part of version 2; the protocol allows 65,535
)

// errNoHeader means that a connection does not begin with a header.
var errNoHeader = errors.New("want a PROXY header first")

// Read reads a header from r, and no byte beyond it.
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
			return Header{}, errors.New("the line of the PROXY header is too long")
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
		return Header{}, fmt.Errorf("%q is not a PROXY header", text)
	}
	source, err1 := endpoint(fields[2], fields[4])
	destination, err2 := endpoint(fields[3], fields[5])
	if err := errors.Join(err1, err2); err != nil {
		return Header{}, fmt.Errorf("%q is not a PROXY header: %w", text, err)
	}
	if four := fields[1] == "TCP4"; source.Addr().Is4() != four || destination.Addr().Is4() != four {
		return Header{}, fmt.Errorf("%q is not a PROXY header: the addresses are of the wrong family", text)
	}
	return Header{source, destination}, nil
}

func endpoint(host, port string) (netip.AddrPort, error) {
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Zone() != "" {
		return netip.AddrPort{}, fmt.Errorf("%q is not an IP address", host)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q is not a port", port)
	}
	return netip.AddrPortFrom(addr, uint16(n)), nil
}

// Fields of version 2.
const (
	version2 = 0x20 // upper half of the 13th byte
	local    = 0    // lower half of the 13th byte: the proxy connected on its own account
	proxied  = 1
	tcp4     = 0x11 // 14th byte
	tcp6     = 0x21
)

// read2 reads the part of a version 2 header after begin2.
func read2(r io.Reader) (Header, error) {
	var fixed [4]byte
	if _, err := io.ReadFull(r, fixed[:]); err != nil {
		return Header{}, fmt.Errorf("read PROXY header: %w", err)
	}
	size := int(binary.BigEndian.Uint16(fixed[2:]))
	switch {
	case fixed[0]&0xf0 != version2:
		return Header{}, fmt.Errorf("unknown version %#x of the PROXY header", fixed[0])
	case size > longest2:
		return Header{}, fmt.Errorf("the PROXY header is too long (%d bytes)", size)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return Header{}, fmt.Errorf("read PROXY header: %w", err)
	}
	switch command := fixed[0] & 0x0f; {
	case command == local:
		return Header{}, nil
	case command != proxied:
		return Header{}, fmt.Errorf("unknown command %d in the PROXY header", command)
	case fixed[1] == tcp4:
		return addresses(body, 4)
	case fixed[1] == tcp6:
		return addresses(body, 16)
	}
	return Header{}, nil // the protocol asks receivers to accept address families that they do not know
}

// addresses reads two addresses of size bytes each, then two ports. It ignores the rest of body.
func addresses(body []byte, size int) (Header, error) {
	if len(body) < 2*size+4 {
		return Header{}, fmt.Errorf("the addresses of the PROXY header are too short (%d bytes)", len(body))
	}
	source, _ := netip.AddrFromSlice(body[:size])
	destination, _ := netip.AddrFromSlice(body[size : 2*size])
	ports := body[2*size:]
	return Header{
		netip.AddrPortFrom(source.Unmap(), binary.BigEndian.Uint16(ports)),
		netip.AddrPortFrom(destination.Unmap(), binary.BigEndian.Uint16(ports[2:])),
	}, nil
}
