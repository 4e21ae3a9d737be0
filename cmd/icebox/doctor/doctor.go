// Package doctor examines a host on which icebox runs or will run. It reports problems in plain words, each with a way to fix it.
//
// The doctor changes nothing and sends nothing to other hosts except DNS queries. It reads the configuration and the host's files,
// asks the running daemon for its status, and finally relays packets through the daemon as a TURN client. Each check is a function
// that appends findings. Checks access the host through [System], so that tests can simulate a broken host.
//
// A finding is a problem if clients fail or will fail soon, and a warning if they may fail. If the doctor cannot make a
// check, it reports the check as unknown, which is not a problem.
package doctor

import (
	"context"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"icebox/cmd/icebox/admin"
	"icebox/config"
)

// Level is the severity of a finding.
type Level string

// The levels.
const (
	OK      Level = "ok"
	Unknown Level = "unknown" // the check could not be made
	Warning Level = "warning"
	Problem Level = "problem"
)

// A Finding is one result of a check.
type Finding struct {
	Check string `json:"check"` // a fixed name, such as "ports"
	Level Level  `json:"level"`
	Text  string `json:"text"`
	Fix   string `json:"fix,omitempty"` // how to fix it
}

// System is the doctor's view of a host.
type System struct {
	Root         string // prefix of /etc and /proc; "" on this host
	Now          func() time.Time
	Synchronized func() (bool, error) // reports whether the clock is synchronized
	Addresses    []netip.Addr         // of the interfaces, without link-local ones
	Lookup       func(ctx context.Context, name string) ([]netip.Addr, error)
	Run          func(ctx context.Context, name string, args ...string) (string, error)
	Status       func(context.Context) (admin.Status, error) // of the daemon
	// Relay makes the daemon relay a packet to itself. It returns the realm of the daemon, if it learns that.
	Relay func(context.Context, Target) (realm string, err error)
}

// ThisHost returns the System of the host that this process runs on. The caller sets Addresses, Status and Relay.
func ThisHost() System {
	return System{
		Now: time.Now, Synchronized: synchronized, Run: runProgram,
		Lookup: func(ctx context.Context, name string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		},
	}
}

// Patient is the set-up that the doctor examines.
type Patient struct {
	Config  *config.Config
	Targets []Target // the daemon's transports
	Relays  Relays
}

// Relays describes the addresses that a daemon started now on this host would relay from.
type Relays struct {
	Addresses  string
	LastResort string // why they are a last resort; "" if they are not
	Fix        string // how to change that
	Err        error  // the configuration asks for addresses that the host does not have
}

// Examine runs every check.
func Examine(ctx context.Context, s System, p Patient) []Finding {
	e := &examination{System: s, Patient: p, ctx: ctx}
	for _, check := range []func(){
		e.daemon, e.ports, e.addresses, e.relaysFrom, e.names, e.relayRange, e.firewall, e.certificate, e.keyFile, e.realm, e.clock,
		e.descriptors, e.conntrack, e.buffers, e.nginx, e.docker, e.relays,
	} {
		check()
	}
	return e.findings
}

// examination is one run of all checks.
type examination struct {
	System
	Patient
	ctx      context.Context
	running  bool // the daemon responds
	findings []Finding

	realmReported bool
}

func (e *examination) report(check string, level Level, text, fix string) {
	e.findings = append(e.findings, Finding{check, level, text, fix})
}

func (e *examination) read(path string) (string, error) {
	text, err := os.ReadFile(filepath.Join(e.Root, path))
	return string(text), err
}

func (e *examination) glob(pattern string) []string {
	found, _ := filepath.Glob(filepath.Join(e.Root, pattern)) // only a malformed pattern fails
	return found
}

func (e *examination) stat(path string) (fs.FileInfo, error) {
	return os.Stat(filepath.Join(e.Root, path))
}

// runProgram runs a program of the host and returns its output.
func runProgram(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).Output()
	return string(out), err
}

// daemon asks the running daemon for its status.
func (e *examination) daemon() {
	status, err := e.Status(e.ctx)
	if err != nil {
		e.report("daemon", Problem, "the daemon does not answer: "+err.Error(),
			"systemctl start icebox; if it ends again, journalctl -u icebox shows why")
		return
	}
	e.running = true
	switch {
	case status.Draining != nil:
		e.report("daemon", Warning, "the daemon is stopping and takes no new clients", "systemctl restart icebox, unless it should stop")
	case !status.Ready:
		e.report("daemon", Problem, "the daemon runs but is not ready", "journalctl -u icebox shows why")
	default:
		e.report("daemon", OK, "the daemon runs and is ready", "")
	}
	for _, w := range status.Warnings {
		e.report("daemon", Warning, "the daemon warns: "+w, "")
	}
}
