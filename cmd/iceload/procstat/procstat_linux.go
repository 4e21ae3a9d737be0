// Package procstat reads how much CPU time and memory a process has used, and how busy the host
// was.
//
// CPU time comes from the scheduler. It has nanosecond resolution and includes threads that have
// ended. Its split into user and system time is the kernel's estimate from clock ticks.
//
// The kernel processes received packets in softirqs, and bills that time to the process that a
// softirq interrupts. On loopback that is the sender, which is correct. A kernel with
// CONFIG_IRQ_TIME_ACCOUNTING bills interrupts to no process. Then only [Host] includes them.
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

// tick is one USER_HZ tick, which is the same on every architecture that Go supports.
const tick = 10 * time.Millisecond

// ErrGone means that the process has ended.
var ErrGone = errors.New("the process has ended")

// Process identifies a process by its ID and its start time, because IDs are reused.
type Process struct {
	pid   int
	start string
}

// Open returns the process with the given ID.
func Open(pid int) (*Process, error) {
	p := &Process{pid: pid}
	fields, err := p.stat()
	if err != nil {
		return nil, err
	}
	p.start = fields[startField]
	return p, nil
}

// Indexes of fields in /proc/PID/stat, counted from the field after the name.
const (
	userField   = 14 - 3
	systemField = 15 - 3
	startField  = 22 - 3
)

func (p *Process) path(name string) string {
	return filepath.Join("/proc", strconv.Itoa(p.pid), name)
}

// stat reads the fields of /proc/PID/stat that follow the process's name. The name may contain
// spaces and parentheses, so the fields start after the last ')'.
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

// Usage is the CPU time and the context switches of a process since it was started.
type Usage struct {
	// CPU is exact. User and System are estimates of its two parts.
	CPU, User, System time.Duration
	// Switches is the number of voluntary context switches of the threads that exist now.
	Switches uint64
}

// Sub returns the difference u - earlier.
func (u Usage) Sub(earlier Usage) Usage {
	return Usage{u.CPU - earlier.CPU, u.User - earlier.User, u.System - earlier.System, u.Switches - earlier.Switches}
}

// Usage returns the process's usage so far.
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

// cpuClock returns the clock that counts the CPU time of process pid, encoded as
// clock_getcpuclockid(3) does.
func cpuClock(pid int) int32 {
	const scheduler = 2
	return int32(^pid<<3 | scheduler)
}

// voluntarySwitches adds up the voluntary context switches of all threads.
func (p *Process) voluntarySwitches() (uint64, error) {
	paths, err := filepath.Glob(p.path("task/*/status"))
	if err != nil {
		return 0, err
	}
	var sum uint64
	for _, path := range paths {
		n, err := readNumber(path, "voluntary_ctxt_switches:")
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // the thread has just ended
		}
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// Resident returns the process's resident memory in bytes.
func (p *Process) Resident() (uint64, error) {
	if _, err := p.stat(); err != nil {
		return 0, err
	}
	kib, err := readNumber(p.path("status"), "VmRSS:")
	return kib << 10, err
}

// readNumber returns the number that follows key at the start of a line of the file at path.
func readNumber(path, key string) (uint64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }() // opened for reading only
	for lines := bufio.NewScanner(f); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), key)
		if fields := strings.Fields(rest); ok && len(fields) > 0 {
			return strconv.ParseUint(fields[0], 10, 64)
		}
	}
	return 0, fmt.Errorf("read %s: no line starts with %q", path, key)
}

// Host is the time that all processors of the host have spent since boot.
type Host struct{ Busy, Interrupts, Stolen time.Duration }

// Sub returns the difference h - earlier.
func (h Host) Sub(earlier Host) Host {
	return Host{h.Busy - earlier.Busy, h.Interrupts - earlier.Interrupts, h.Stolen - earlier.Stolen}
}

// ReadHost returns the host's times so far. Busy includes Interrupts and Stolen, the time that the
// hypervisor gave to other virtual machines.
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
