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
	"syscall"
	"time"

	"icebox/turnserver/wire"
)

// How long starting and stopping may take, and how often a starting server is probed.
const (
	startTimeout  = 15 * time.Second
	stopTimeout   = 10 * time.Second
	probeInterval = 50 * time.Millisecond
)

// Server is a contender that is running.
type Server struct {
	// Plain is the address for UDP, TCP and ws, and Secure the one for TLS, DTLS and wss.
	Plain, Secure netip.AddrPort
	// Protocol is the contender's.
	Protocol string
	cmd      *exec.Cmd
	log      *os.File
	exited   chan struct{} // closed when cmd has been waited for
	status   error
}

// Start starts a contender as a relay and waits until it responds to a Binding request, or until
// ctx ends.
func (c Contender) Start(ctx context.Context, o Options) (*Server, error) {
	return c.launch(ctx, o, c.writeRelayConfig, (*Server).awaitBinding)
}

// launch configures a server, starts it, and waits until it is ready.
func (c Contender) launch(
	ctx context.Context, o Options, configure func(*Server, Options) ([]string, error), ready func(*Server, context.Context) error,
) (*Server, error) {
	s := &Server{Protocol: c.Protocol, exited: make(chan struct{})}
	var err error
	if s.Plain, err = freePort(o.Address); err != nil {
		return nil, err
	}
	if s.Secure, err = freePort(o.Address); err != nil {
		return nil, err
	}
	args, err := configure(s, o)
	if err != nil {
		return nil, fmt.Errorf("configure %s: %w", c.Name, err)
	}
	if s.log, err = os.Create(filepath.Join(o.Dir, "log")); err != nil {
		return nil, err
	}
	// Clients must release their allocations even after ctx has ended, so only Stop ends the
	// server.
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), c.Path, append(args, c.Args...)...) //nolint:gosec // the user named it
	// An interrupt from the terminal must reach only this program, which then stops the server. The
	// kernel kills the server if this program dies first.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	s.cmd.Dir, s.cmd.Env = o.Dir, o.Env
	if err := s.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", c.Name, err), s.log.Close())
	}
	go func() {
		defer close(s.exited)
		s.status = s.cmd.Wait()
	}()
	if err := ready(s, ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w; its log ends with: %s", c.Name, err, s.logTail()), s.Stop())
	}
	return s, nil
}

// writeRelayConfig writes a contender's configuration and returns the arguments to start it with.
func (c Contender) writeRelayConfig(s *Server, o Options) ([]string, error) {
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

// freePort returns a port of a that is free over both UDP and TCP.
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

// awaitBinding waits until the server responds to a Binding request.
func (s *Server) awaitBinding(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	// On a connected socket, Read would fail as long as the server is not listening yet.
	conn, err := net.ListenUDP("udp", nil)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	request := wire.NewBuilder(nil, wire.Binding, wire.Request, [wire.TransactionIDSize]byte{7}).Bytes()
	response := make([]byte, 1500)
	for {
		select {
		case <-s.exited:
			return fmt.Errorf("it exited at once: %w", s.status)
		case <-ctx.Done():
			return fmt.Errorf("it does not respond to a Binding request: %w", ctx.Err())
		default:
		}
		if _, err := conn.WriteToUDPAddrPort(request, s.Plain); err != nil {
			return err
		}
		if err := conn.SetReadDeadline(time.Now().Add(probeInterval)); err != nil {
			return err
		}
		if n, _, err := conn.ReadFromUDPAddrPort(response); err == nil && n >= wire.HeaderSize {
			return nil
		}
	}
}

// PID returns the server's process ID.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Stop ends the server and waits for it.
func (s *Server) Stop() error {
	_ = s.cmd.Process.Signal(os.Interrupt) // fails only if the process has ended
	select {
	case <-s.exited:
	case <-time.After(stopTimeout):
		_ = s.cmd.Process.Kill()
		<-s.exited
	}
	return s.log.Close()
}

// logTail returns the end of the server's log.
func (s *Server) logTail() string {
	b, err := os.ReadFile(s.log.Name())
	if err != nil {
		return err.Error()
	}
	const most = 400
	return strings.TrimSpace(string(b[max(0, len(b)-most):]))
}
