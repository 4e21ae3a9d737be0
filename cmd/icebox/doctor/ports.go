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

// socket is one that the configuration asks for, or that a process has.
type socket struct {
	network string // tcp or udp
	addr    netip.Addr
	port    uint16
	inode   string // of one that a process has
}

func (s socket) String() string {
	if !s.addr.IsValid() {
		return fmt.Sprintf("%s port %d", s.network, s.port)
	}
	return fmt.Sprintf("%s %s", s.network, netip.AddrPortFrom(s.addr, s.port))
}

// wants are the sockets of the configuration.
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

// ports looks for other processes on the ports of the configuration.
func (e *examination) ports() {
	taken := e.listening()
	if taken == nil {
		e.say("ports", Unknown, "the host does not tell which ports are in use", "")
		return
	}
	var told []string
	for _, want := range e.wants() {
		for _, has := range taken {
			if has.network != want.network || has.port != want.port || !clash(want.addr, has.addr) {
				continue
			}
			owner := e.owner(has.inode)
			text := fmt.Sprintf("%s is in use by %s", want, owner)
			if strings.HasPrefix(owner, "icebox") || e.running && owner == nobody || slices.Contains(told, text) {
				continue
			}
			told = append(told, text)
			e.say("ports", Problem, text, "stop that program (coturn: systemctl disable --now coturn), or give icebox another port")
		}
	}
	if len(told) == 0 {
		e.say("ports", OK, "no other program has a port of the configuration", "")
	}
}

// clash reports whether two sockets on one port get in each other's way.
func clash(want, has netip.Addr) bool {
	return !want.IsValid() || want.IsUnspecified() || has.IsUnspecified() || want == has
}

// listening are the TCP listeners and UDP sockets of the host, nil when it doesn't tell.
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

// parseKernelAddr reads the form of /proc/net/tcp: words of the host's byte order,
// which is little-endian wherever icebox is built for.
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

const nobody = "a program that only root may see"

// owner is the process that has a socket, by its name and number.
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
	return nobody
}
