// Package contender starts the servers that a comparison is between, each as an operator
// would who wants a fast relay on one address: the same ports, account and certificate,
// limits out of the way, logs to a file, everything else by default.
//
// A contender is named by NAME=PATH:ARGS, of which NAME= and :ARGS may be left out; ARGS
// are split at blanks and handed to the program after our own. Both programs are
// configured by a file, so that an option that another version does not know does no harm
// to coturn.
package contender

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"icebox/turnserver/wire"
)

// Kind is which program a contender is.
type Kind string

// The kinds.
const (
	Icebox Kind = "icebox"
	Coturn Kind = "coturn"
)

// Contender is a program to be started.
type Contender struct {
	Kind Kind
	Name string
	Path string
	Args []string
}

// Parse reads NAME=PATH:ARGS. The name is the kind's if it is left out.
func Parse(kind Kind, text string) (Contender, error) {
	c := Contender{Kind: kind, Name: string(kind)}
	if name, rest, ok := strings.Cut(text, "="); ok && !strings.ContainsAny(name, "/: ") {
		c.Name, text = name, rest
	}
	path, args, _ := strings.Cut(text, ":")
	c.Path, c.Args = path, strings.Fields(args)
	if c.Name == "" || c.Path == "" {
		return c, fmt.Errorf("%s %q: want NAME=PATH:ARGS", kind, text)
	}
	return c, nil
}

// Options say how contenders are started.
type Options struct {
	// Address is what they listen on and relay from: a loopback address.
	Address netip.Addr
	// Dir is an empty directory for their files.
	Dir string
	// Env is their environment.
	Env []string
}

// The account that all contenders know.
const (
	Realm    = "iceload"
	User     = "iceload"
	Password = "iceload-against-itself"
)

// How long starting and stopping may take, and how often an address is asked for an answer.
const (
	startTimeout  = 15 * time.Second
	stopTimeout   = 10 * time.Second
	probeInterval = 50 * time.Millisecond
)

// Server is a contender that runs.
type Server struct {
	// Plain serves UDP and TCP, Secure TLS and DTLS.
	Plain, Secure netip.AddrPort
	cmd           *exec.Cmd
	log           *os.File
	exited        chan struct{} // closed when cmd has been waited for
	status        error
}

// Start starts a contender and waits until it answers. It ends with ctx, or by Stop.
func (c Contender) Start(ctx context.Context, o Options) (*Server, error) {
	s := &Server{exited: make(chan struct{})}
	var err error
	if s.Plain, err = freePort(o.Address); err != nil {
		return nil, err
	}
	if s.Secure, err = freePort(o.Address); err != nil {
		return nil, err
	}
	args, err := c.configure(s, o)
	if err != nil {
		return nil, fmt.Errorf("configure %s: %w", c.Name, err)
	}
	if s.log, err = os.Create(filepath.Join(o.Dir, "log")); err != nil {
		return nil, err
	}
	s.cmd = exec.CommandContext(ctx, c.Path, append(args, c.Args...)...) //nolint:gosec // the user named it
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(os.Interrupt) }
	s.cmd.WaitDelay = stopTimeout
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	s.cmd.Dir, s.cmd.Env = o.Dir, o.Env
	if err := s.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", c.Name, err), s.log.Close())
	}
	go func() {
		defer close(s.exited)
		s.status = s.cmd.Wait()
	}()
	if err := s.ready(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w; its last words: %s", c.Name, err, s.lastWords()), s.Stop())
	}
	return s, nil
}

// configure writes the configuration of a contender, and returns the arguments to start it with.
func (c Contender) configure(s *Server, o Options) ([]string, error) {
	certificate, key, err := writeCertificate(o.Dir, o.Address)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(o.Dir, string(c.Kind)+".conf")
	text, args := coturnConfig(s, o, certificate, key), []string{"-c", path}
	if c.Kind == Icebox {
		text, args = iceboxConfig(s, o, certificate, key), []string{"serve", "--config", path}
	}
	return args, os.WriteFile(path, []byte(text), 0o600)
}

// freePort finds a port of a that nobody has over UDP and TCP.
func freePort(a netip.Addr) (netip.AddrPort, error) {
	const tries = 20
	var failed error
	for range tries {
		u, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
		if err != nil {
			return netip.AddrPort{}, fmt.Errorf("find a free port: %w", err)
		}
		at := u.LocalAddr().(*net.UDPAddr).AddrPort()
		t, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
		if err == nil {
			return netip.AddrPortFrom(a, at.Port()), errors.Join(u.Close(), t.Close())
		}
		failed = errors.Join(err, u.Close())
	}
	return netip.AddrPort{}, fmt.Errorf("find a free port: %w", failed)
}

// ready waits until the server answers a Binding request.
func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	// A socket that is not connected does not hear that nobody listens yet.
	conn, err := net.ListenUDP("udp", nil)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	request := wire.NewBuilder(nil, wire.Binding, wire.Request, [wire.TransactionIDSize]byte{7}).Bytes()
	answer := make([]byte, 1500)
	for {
		select {
		case <-s.exited:
			return fmt.Errorf("it ended at once: %w", s.status)
		case <-ctx.Done():
			return fmt.Errorf("it answers no Binding request: %w", ctx.Err())
		default:
		}
		if _, err := conn.WriteToUDPAddrPort(request, s.Plain); err != nil {
			return err
		}
		if err := conn.SetReadDeadline(time.Now().Add(probeInterval)); err != nil {
			return err
		}
		if n, _, err := conn.ReadFromUDPAddrPort(answer); err == nil && n >= wire.HeaderSize {
			return nil
		}
	}
}

// PID is the server's process ID.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Stop ends the server and waits for it.
func (s *Server) Stop() error {
	_ = s.cmd.Process.Signal(os.Interrupt) // fails only if it has ended
	select {
	case <-s.exited:
	case <-time.After(stopTimeout):
		_ = s.cmd.Process.Kill()
		<-s.exited
	}
	return s.log.Close()
}

// lastWords is the end of the server's log.
func (s *Server) lastWords() string {
	b, err := os.ReadFile(s.log.Name())
	if err != nil {
		return err.Error()
	}
	const most = 400
	return strings.TrimSpace(string(b[max(0, len(b)-most):]))
}
