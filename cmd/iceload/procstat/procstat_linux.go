// Package procstat reads what a process, and the host, have used so far.
//
// CPU time is that of the scheduler, to the nanosecond, of all threads that ever
// were; its split into user and system is the kernel's estimate from ticks. What the
// kernel does for received packets in a softirq is billed to whatever it interrupts: on
// loopback to the sender, which is as it should be, unless the kernel accounts for
// interrupts apart (CONFIG_IRQ_TIME_ACCOUNTING). Then the host's figure has it.
package procstat

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tick is USER_HZ, which is the same on all architectures that Go knows.
const tick = 10 * time.Millisecond

// ErrGone reports that the process has ended.
var ErrGone = errors.New("the process has ended")

// Process is a process, by its ID and the time it was started.
type Process struct {
	pid   int
	start string
}

// Open finds a process.
func Open(pid int) (*Process, error) {
	p := &Process{pid: pid}
	fields, err := p.stat()
	if err != nil {
		return nil, err
	}
	p.start = fields[startField]
	return p, nil
}

// Fields of /proc/PID/stat, counted from the one behind the name.
const (
	userField   = 14 - 3
	systemField = 15 - 3
	startField  = 22 - 3
)

func (p *Process) path(name string) string {
	return filepath.Join("/proc", strconv.Itoa(p.pid), name)
}

// stat reads the fields of /proc/PID/stat that follow the name, which may hold anything.
func (p *Process) stat() ([]string, error) {
	b, err := os.ReadFile(p.path("stat"))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return nil, fmt.Errorf("process %d: %w", p.pid, ErrGone)
	}
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) <= startField || p.start != "" && fields[startField] != p.start {
		return nil, fmt.Errorf("process %d: %w", p.pid, ErrGone)
	}
	return fields, nil
}

// Usage is what a process has used since it was started.
type Usage struct {
	// CPU is exact, User and System are estimates of its parts.
	CPU, User, System time.Duration
	// Switches is how often its present threads went to sleep by themselves.
	Switches uint64
}

// Sub is what was used since earlier.
func (u Usage) Sub(earlier Usage) Usage {
	return Usage{u.CPU - earlier.CPU, u.User - earlier.User, u.System - earlier.System, u.Switches - earlier.Switches}
}

// Usage reads what the process has used.
func (p *Process) Usage() (Usage, error) {
	fields, err := p.stat()
	if err != nil {
		return Usage{}, err
	}
	var ticks [2]uint64
	for i, field := range []int{userField, systemField} {
		if ticks[i], err = strconv.ParseUint(fields[field], 10, 64); err != nil {
			return Usage{}, fmt.Errorf("read %s: %w", p.path("stat"), err)
		}
	}
	u := Usage{User: time.Duration(ticks[0]) * tick, System: time.Duration(ticks[1]) * tick}
	u.CPU = u.User + u.System
	var ts unix.Timespec
	if unix.ClockGettime(cpuClock(p.pid), &ts) == nil {
		u.CPU = time.Duration(ts.Nano())
	}
	u.Switches, err = p.voluntarySwitches()
	return u, err
}

// cpuClock is the clock of a process's CPU time, as clock_getcpuclockid(3) makes it.
func cpuClock(pid int) int32 {
	const scheduler = 2
	return int32(^pid<<3 | scheduler)
}

// switches adds up the voluntary context switches of all threads.
func (p *Process) voluntarySwitches() (uint64, error) {
	paths, err := filepath.Glob(p.path("task/*/status"))
	if err != nil {
		return 0, err
	}
	var sum uint64
	for _, path := range paths {
		n, err := readNumber(path, "voluntary_ctxt_switches:")
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // a thread that has just ended
		}
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// Resident is how much memory of the process is resident, in bytes.
func (p *Process) Resident() (uint64, error) {
	if _, err := p.stat(); err != nil {
		return 0, err
	}
	kib, err := readNumber(p.path("status"), "VmRSS:")
	return kib << 10, err
}

// number reads the number that follows key at the start of a line.
func readNumber(path, key string) (uint64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }() // it was only read
	for lines := bufio.NewScanner(f); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), key)
		if fields := strings.Fields(rest); ok && len(fields) > 0 {
			return strconv.ParseUint(fields[0], 10, 64)
		}
	}
	return 0, fmt.Errorf("read %s: there is no %q", path, key)
}

// Host is what all processors together have spent, by kind.
type Host struct{ Busy, Interrupts, Stolen time.Duration }

// Sub is what was spent since earlier.
func (h Host) Sub(earlier Host) Host {
	return Host{h.Busy - earlier.Busy, h.Interrupts - earlier.Interrupts, h.Stolen - earlier.Stolen}
}

// ReadHost reads what the host has spent. Interrupts are part of Busy, and so is the
// time that a hypervisor gave to others.
func ReadHost() (Host, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return Host{}, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	fields := strings.Fields(line)
	const user, idle, iowait, irq, softirq, steal = 1, 4, 5, 6, 7, 8
	if len(fields) <= steal {
		return Host{}, errors.New("read /proc/stat: too few fields")
	}
	var h Host
	for i := user; i <= steal; i++ {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return Host{}, fmt.Errorf("read /proc/stat: %w", err)
		}
		d := time.Duration(n) * tick
		switch i {
		case idle, iowait:
			continue
		case irq, softirq:
			h.Interrupts += d
		case steal:
			h.Stolen += d
		}
		h.Busy += d
	}
	return h, nil
}
