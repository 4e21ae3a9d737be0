package doctor

import (
	"fmt"
	"strconv"
	"strings"
)

// number reads a file that holds one.
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
		e.say("clock", Unknown, "the host does not tell whether its clock is kept right", "")
	case !good:
		e.say("clock", Warning, "nothing keeps the clock right; credentials expire by it, here and where they are minted",
			"apt install systemd-timesyncd, and timedatectl set-ntp true")
	default:
		e.say("clock", OK, "the clock is kept right", "")
	}
}

// descriptors compares what the daemon may open with what its limits let in.
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
			e.say("descriptors", Problem, fmt.Sprintf("the daemon may open %d files, and its limits let in clients for %d", have, need),
				fmt.Sprintf("LimitNOFILE=%d in the unit (systemctl edit icebox), or ulimits in docker-compose.yml", max(262144, need)))
		default:
			e.say("descriptors", OK, fmt.Sprintf("the daemon may open %d files", have), "")
		}
		return
	}
	e.say("descriptors", Unknown, "no daemon runs whose limit of open files could be seen", "")
}

// conntrack remembers each flow of a relay, and drops packets when it is full.
func (e *examination) conntrack() {
	limit, ok := e.number("/proc/sys/net/netfilter/nf_conntrack_max")
	if !ok {
		e.say("conntrack", OK, "no connection tracking is in the way", "")
		return
	}
	count, _ := e.number("/proc/sys/net/netfilter/nf_conntrack_count")
	fix := "sysctl -w net.netfilter.nf_conntrack_max=262144, and the same in /etc/sysctl.d/icebox.conf"
	switch {
	case count*10 > limit*8:
		e.say("conntrack", Problem, fmt.Sprintf("connection tracking holds %d of %d flows; when it is full the host drops packets", count, limit), fix)
	case limit < 1<<16:
		e.say("conntrack", Warning, fmt.Sprintf("connection tracking holds %d flows at most, and each relayed flow takes two", limit), fix)
	default:
		e.say("conntrack", OK, fmt.Sprintf("connection tracking holds %d of %d flows", count, limit), "")
	}
}

// wantedBuffer is what the relay asks for, for a UDP socket of clients.
const wantedBuffer = 4 << 20

func (e *examination) buffers() {
	for _, name := range []string{"rmem_max", "wmem_max"} {
		n, ok := e.number("/proc/sys/net/core/" + name)
		switch {
		case !ok:
			e.say("buffers", Unknown, "the host does not tell net.core."+name, "")
		case n < wantedBuffer:
			e.say("buffers", Warning, fmt.Sprintf("net.core.%s is %d bytes: bursts of media are dropped before icebox can read them", name, n),
				fmt.Sprintf("sysctl -w net.core.%s=%d, and the same in /etc/sysctl.d/icebox.conf", name, wantedBuffer))
		default:
			e.say("buffers", OK, fmt.Sprintf("net.core.%s is large enough", name), "")
		}
	}
}
