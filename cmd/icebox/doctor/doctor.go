// Package doctor looks at a host on which icebox runs, or should, and says in
// plain words what is wrong and what mends it.
//
// It only reads, and sends nothing to anybody else: what it knows comes from the
// configuration, the files of the host, name resolution and the running daemon, of
// which it is a client at the end. Each check is a function that appends findings;
// what a check asks of the host goes through [System], so that tests can break one.
//
// A finding is a problem where clients fail, or soon will, and a warning where
// they may. What could not be looked at is told as such and is no problem.
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

// Level is how bad a finding is.
type Level string

// The levels.
const (
	OK      Level = "ok"
	Unknown Level = "unknown" // it could not be looked at
	Warning Level = "warning"
	Problem Level = "problem"
)

// A Finding is what one check says.
type Finding struct {
	Check string `json:"check"` // a fixed name, such as "ports"
	Level Level  `json:"level"`
	Text  string `json:"text"`
	Fix   string `json:"fix,omitempty"` // what mends it
}

// System is what a doctor sees of a host.
type System struct {
	Root         string // before /etc and /proc; "" for this host's
	Now          func() time.Time
	Synchronized func() (bool, error) // whether something keeps the clock right
	Addresses    []netip.Addr         // of the interfaces, without link-local ones
	Lookup       func(ctx context.Context, name string) ([]netip.Addr, error)
	Run          func(ctx context.Context, name string, args ...string) (string, error)
	Status       func(context.Context) (admin.Status, error) // of the daemon
	// Relay has the daemon relay a packet to itself, and returns the realm it says, if any.
	Relay func(context.Context, Target) (realm string, err error)
}

// ThisHost is the one this process is on. Addresses, Status and Relay are left to
// the caller, who knows them.
func ThisHost() System {
	return System{
		Now: time.Now, Synchronized: synchronized, Run: runProgram,
		Lookup: func(ctx context.Context, name string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		},
	}
}

// Patient is what is examined.
type Patient struct {
	Config  *config.Config
	Targets []Target // the daemon's transports
	Relays  Relays
}

// Relays describes the addresses that a daemon started now on this host would relay from.
type Relays struct {
	Addresses  string
	LastResort string // why they are a last resort; "" if they are not
	Fix        string // what changes that
	Err        error  // the configuration asks for addresses that cannot be had
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

// examination is one on its way.
type examination struct {
	System
	Patient
	ctx      context.Context
	running  bool // the daemon answers
	findings []Finding

	realmTold bool
}

func (e *examination) say(check string, level Level, text, fix string) {
	e.findings = append(e.findings, Finding{check, level, text, fix})
}

func (e *examination) read(path string) (string, error) {
	text, err := os.ReadFile(filepath.Join(e.Root, path))
	return string(text), err
}

func (e *examination) glob(pattern string) []string {
	found, _ := filepath.Glob(filepath.Join(e.Root, pattern)) // the patterns are good
	return found
}

func (e *examination) stat(path string) (fs.FileInfo, error) {
	return os.Stat(filepath.Join(e.Root, path))
}

// runProgram is the host's own way to run one.
func runProgram(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).Output()
	return string(out), err
}

// daemon asks the running one.
func (e *examination) daemon() {
	status, err := e.Status(e.ctx)
	if err != nil {
		e.say("daemon", Problem, "the daemon does not answer: "+err.Error(),
			"systemctl start icebox, and journalctl -u icebox says why it ends")
		return
	}
	e.running = true
	switch {
	case status.Draining != nil:
		e.say("daemon", Warning, "the daemon is stopping and takes no new clients", "systemctl restart icebox, if nobody meant it to")
	case !status.Ready:
		e.say("daemon", Problem, "the daemon runs and is not ready", "journalctl -u icebox says what it waits for")
	default:
		e.say("daemon", OK, "the daemon runs and is ready", "")
	}
	for _, w := range status.Warnings {
		e.say("daemon", Warning, "the daemon warns: "+w, "")
	}
}
