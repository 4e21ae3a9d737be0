package doctor

import (
	"fmt"
	"strconv"
	"strings"
)

// number returns the number in a file.
func (e *examination) number(path string) (int, bool) {
	text, err := e.read(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.Atoi(strings.TrimSpace(text))
	return n, err == nil
}

func (e *examination) clock() {
	switch good, err := e.Synchronized(); {
	case err != nil:
		e.report("clock", Unknown, "whether the clock is synchronized is unknown", "")
	case !good:
		e.report("clock", Warning, "the clock is not synchronized, so credentials from other hosts may expire too early or too late",
			"apt install systemd-timesyncd, then timedatectl set-ntp true")
	default:
		e.report("clock", OK, "the clock is synchronized", "")
	}
}

// descriptors compares the number of files that the daemon may open with the number of clients that its limits admit.
func (e *examination) descriptors() {
	r, l := e.Config.TURN.RelayPorts, e.Config.TURN.Limits
	need := int(r.Max) - int(r.Min) + 1
	if l.Allocations > 0 {
		need = min(need, l.Allocations)
	}
	need += l.Connections + e.Config.Signal.Limits.Connections
	for _, status := range e.glob("/proc/[0-9]*/comm") {
		path := strings.TrimPrefix(strings.TrimSuffix(status, "comm"), e.Root)
		if name, err := e.read(path + "comm"); err != nil || strings.TrimSpace(name) != "icebox" {
			continue
		}
		text, err := e.read(path + "limits")
		_, after, found := strings.Cut(text, "Max open files")
		fields := strings.Fields(after)
		if err != nil || !found || len(fields) == 0 {
			continue
		}
		have, err := strconv.Atoi(fields[0])
		switch {
		case err != nil: // unlimited
		case have < need:
			e.report("descriptors", Problem, fmt.Sprintf("the daemon may open %d files, but the clients that its limits admit need %d", have, need),
				fmt.Sprintf("set LimitNOFILE=%d in the unit (systemctl edit icebox), or ulimits in docker-compose.yml", max(262144, need)))
		default:
			e.report("descriptors", OK, fmt.Sprintf("the daemon may open %d files", have), "")
		}
		return
	}
	e.report("descriptors", Unknown, "the limit of open files is unknown, because no daemon runs", "")
}

// conntrack checks the table of connection tracking. It has an entry for each flow of the relay. When it is full, the host drops
// packets.
func (e *examination) conntrack() {
	limit, ok := e.number("/proc/sys/net/netfilter/nf_conntrack_max")
	if !ok {
		e.report("conntrack", OK, "the host does not track connections", "")
		return
	}
	count, _ := e.number("/proc/sys/net/netfilter/nf_conntrack_count")
	fix := "sysctl -w net.netfilter.nf_conntrack_max=262144, and the same in /etc/sysctl.d/icebox.conf"
	switch {
	case count*10 > limit*8:
		e.report("conntrack", Problem, fmt.Sprintf("connection tracking holds %d of %d flows, and the host drops packets when that is full", count, limit), fix)
	case limit < 1<<16:
		e.report("conntrack", Warning, fmt.Sprintf("connection tracking holds at most %d flows, and each relayed flow takes two", limit), fix)
	default:
		e.report("conntrack", OK, fmt.Sprintf("connection tracking holds %d of %d flows", count, limit), "")
	}
}

// wantedBuffer is the buffer size that the relay asks for, for each UDP socket of clients.
const wantedBuffer = 4 << 20

func (e *examination) buffers() {
	for _, name := range []string{"rmem_max", "wmem_max"} {
		n, ok := e.number("/proc/sys/net/core/" + name)
		switch {
		case !ok:
			e.report("buffers", Unknown, "net.core."+name+" is unknown", "")
		case n < wantedBuffer:
			e.report("buffers", Warning, fmt.Sprintf("net.core.%s is %d bytes, so the host may drop bursts of media before icebox reads them", name, n),
				fmt.Sprintf("sysctl -w net.core.%s=%d, and the same in /etc/sysctl.d/icebox.conf", name, wantedBuffer))
		default:
			e.report("buffers", OK, fmt.Sprintf("net.core.%s is large enough", name), "")
		}
	}
}
