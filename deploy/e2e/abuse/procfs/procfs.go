// Package procfs reads the memory, the processor time, the open files, the sockets and the lost datagrams of a process from
// Linux's /proc.
package procfs

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ticks is USER_HZ, which is 100 on every Linux that Go runs on.
const ticks = 100

// Memory returns the resident memory of a process in bytes.
func Memory(pid int) (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmRSS:" {
			kib, err := strconv.Atoi(f[1])
			return kib << 10, err
		}
	}
	return 0, errors.New("no VmRSS")
}

// CPU returns the processor time that a process has used so far, including time in the kernel.
func CPU(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, after, ok := strings.Cut(string(b), ") ") // the name of the process may contain any character
	f := strings.Fields(after)
	if !ok || len(f) < 13 {
		return 0, fmt.Errorf("unknown format: %s", b)
	}
	user, err1 := strconv.Atoi(f[11])
	system, err2 := strconv.Atoi(f[12])
	return time.Duration(user+system) * time.Second / ticks, errors.Join(err1, err2)
}

// Files returns the number of open file descriptors of a process.
func Files(pid int) (int, error) {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(list), err
}

// Sockets returns the open sockets of a process. The keys name the inodes, which the kernel does not use again.
func Sockets(pid int) (map[string]bool, error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	sockets := make(map[string]bool, len(list))
	for _, e := range list {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		switch {
		case errors.Is(err, fs.ErrNotExist): // closed since the directory was read
		case err != nil:
			return nil, err
		case strings.HasPrefix(target, "socket:"):
			sockets[target] = true
		}
	}
	return sockets, nil
}

// Lost returns how many datagrams the kernel dropped because the buffer of the IPv4 UDP socket bound to a was full.
func Lost(a netip.AddrPort) (int, error) {
	f, err := os.Open("/proc/net/udp")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	ip := a.Addr().As4()
	want := fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(ip[:]), a.Port())
	for s := bufio.NewScanner(f); s.Scan(); {
		if f := strings.Fields(s.Text()); len(f) > 2 && f[1] == want {
			return strconv.Atoi(f[len(f)-1])
		}
	}
	return 0, fmt.Errorf("no socket at %v", a)
}
