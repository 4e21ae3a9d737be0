package procstat

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Drops is how many datagrams the kernel has dropped at the UDP sockets that the
// process has now, mostly because it did not fetch them in time. known is false if
// the sockets of the process may not be seen.
func (p *Process) Drops() (n uint64, known bool, err error) {
	sockets, err := p.socketInodes()
	if errors.Is(err, os.ErrPermission) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	for _, name := range []string{"net/udp", "net/udp6"} {
		m, err := readDrops(p.path(name), sockets)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // there may be no IPv6
			return 0, false, err
		}
		n += m
	}
	return n, true, nil
}

// sockets are the inodes of the sockets of a process.
func (p *Process) socketInodes() (map[string]bool, error) {
	entries, err := os.ReadDir(p.path("fd"))
	if err != nil {
		return nil, err
	}
	inodes := make(map[string]bool)
	for _, e := range entries {
		target, err := os.Readlink(p.path("fd/" + e.Name()))
		if errors.Is(err, os.ErrNotExist) {
			continue // closed meanwhile
		}
		if err != nil {
			return nil, err
		}
		if inode, ok := strings.CutPrefix(target, "socket:["); ok {
			inodes[strings.TrimSuffix(inode, "]")] = true
		}
	}
	return inodes, nil
}

// Columns of /proc/net/udp, which are not those of its header.
const (
	inodeColumn = 9
	dropsColumn = 12
)

// dropsAt adds up the drops of sockets in a table like /proc/net/udp.
func readDrops(path string, sockets map[string]bool) (uint64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }() // it was only read
	var sum uint64
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) <= dropsColumn || !sockets[fields[inodeColumn]] {
			continue
		}
		n, err := strconv.ParseUint(fields[dropsColumn], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", path, err)
		}
		sum += n
	}
	return sum, lines.Err()
}
