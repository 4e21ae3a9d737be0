package procstat

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Drops returns how many datagrams the kernel has dropped at the UDP sockets that the process has
// open now, mostly because the process did not read them in time. known is false if the caller may
// not see the sockets of the process.
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
		if err != nil && !errors.Is(err, os.ErrNotExist) { // the file is missing if the host has no IPv6
			return 0, false, err
		}
		n += m
	}
	return n, true, nil
}

// socketInodes returns the inode numbers of the process's sockets.
func (p *Process) socketInodes() (map[string]bool, error) {
	entries, err := os.ReadDir(p.path("fd"))
	if err != nil {
		return nil, err
	}
	inodes := make(map[string]bool)
	for _, e := range entries {
		target, err := os.Readlink(p.path("fd/" + e.Name()))
		if errors.Is(err, os.ErrNotExist) {
			continue // closed since ReadDir
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

// Columns of /proc/net/udp. Their numbers are not those of the header line, which names tx_queue
// and rx_queue, and tr and tm->when, separately, although each row joins the two with a colon.
const (
	inodeColumn = 9
	dropsColumn = 12
)

// readDrops adds up the drop counters of the given sockets in a table such as /proc/net/udp.
func readDrops(path string, sockets map[string]bool) (uint64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }() // opened for reading only
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
