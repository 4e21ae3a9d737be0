package doctor

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"icebox/config"
)

// socket is a socket that the configuration asks for, or that a process has open.
type socket struct {
	network string // tcp or udp
	addr    netip.Addr
	port    uint16
	inode   string // "" if the configuration asks for it
}

func (s socket) String() string {
	if !s.addr.IsValid() {
		return fmt.Sprintf("%s port %d", s.network, s.port)
	}
	return fmt.Sprintf("%s %s", s.network, netip.AddrPortFrom(s.addr, s.port))
}

// wants returns the sockets that the configuration asks for.
func (e *examination) wants() []socket {
	var all []socket
	add := func(at config.Endpoint, network string) {
		if at.Port != 0 {
			all = append(all, socket{network: network, addr: at.Addr, port: at.Port})
		}
	}
	for _, l := range e.Config.TURN.Listen {
		for _, t := range l.Transports {
			if t.Stream() {
				add(l.Address, "tcp")
			} else {
				add(l.Address, "udp")
			}
		}
	}
	for _, l := range e.Config.HTTP.Listen {
		add(l.Address, "tcp")
	}
	add(e.Config.Admin.Address, "tcp")
	return slices.Compact(all)
}

// ports checks whether other processes use ports of the configuration.
func (e *examination) ports() {
	open := e.listening()
	if open == nil {
		e.report("ports", Unknown, "the ports in use cannot be read", "")
		return
	}
	var reported []string
	for _, want := range e.wants() {
		for _, has := range open {
			if has.network != want.network || has.port != want.port || !clash(want.addr, has.addr) {
				continue
			}
			owner := e.owner(has.inode)
			text := fmt.Sprintf("%s is in use by %s", want, owner)
			if strings.HasPrefix(owner, "icebox") || e.running && owner == unknownOwner || slices.Contains(reported, text) {
				continue
			}
			reported = append(reported, text)
			e.report("ports", Problem, text, "stop that program (coturn: systemctl disable --now coturn), or give icebox another port")
		}
	}
	if len(reported) == 0 {
		e.report("ports", OK, "no other program uses a port of the configuration", "")
	}
}

// clash reports whether two sockets cannot both be open on one port.
func clash(want, has netip.Addr) bool {
	return !want.IsValid() || want.IsUnspecified() || has.IsUnspecified() || want == has
}

// listening returns the TCP listeners and UDP sockets of the host, or nil if they cannot be read.
func (e *examination) listening() []socket {
	var all []socket
	for _, file := range []string{"tcp", "tcp6", "udp", "udp6"} {
		text, err := e.read("/proc/net/" + file)
		if err != nil {
			continue
		}
		if all == nil {
			all = []socket{}
		}
		network := strings.TrimSuffix(file, "6")
		for line := range strings.SplitSeq(text, "\n") {
			f := strings.Fields(line)
			const listen, unconnected = "0A", "07"
			if len(f) < 10 || network == "tcp" && f[3] != listen || network == "udp" && f[3] != unconnected {
				continue
			}
			if addr, port, ok := parseKernelAddr(f[1]); ok {
				all = append(all, socket{network, addr, port, f[9]})
			}
		}
	}
	return all
}

// parseKernelAddr parses an address and port as in /proc/net/tcp. The address consists of 32-bit words in the host's byte order,
// which is little-endian on every platform that icebox is built for.
func parseKernelAddr(text string) (netip.Addr, uint16, bool) {
	ip, portText, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(ip)
	port, err2 := strconv.ParseUint(portText, 16, 16)
	if err != nil || err2 != nil || len(raw)%4 != 0 {
		return netip.Addr{}, 0, false
	}
	for i := 0; i < len(raw); i += 4 {
		slices.Reverse(raw[i : i+4])
	}
	addr, ok := netip.AddrFromSlice(raw)
	return addr.Unmap(), uint16(port), ok
}

const unknownOwner = "a program that only root may see"

// owner returns the name and ID of the process that has a socket open.
func (e *examination) owner(inode string) string {
	for _, link := range e.glob("/proc/[0-9]*/fd/*") {
		target, err := os.Readlink(link)
		if err != nil || target != "socket:["+inode+"]" {
			continue
		}
		process := filepath.Dir(filepath.Dir(link))
		name, err := os.ReadFile(filepath.Join(process, "comm"))
		if err == nil {
			return fmt.Sprintf("%s (process %s)", strings.TrimSpace(string(name)), filepath.Base(process))
		}
	}
	return unknownOwner
}
