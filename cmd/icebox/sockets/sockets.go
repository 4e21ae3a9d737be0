// Package sockets opens the daemon's listening sockets.
//
// It opens all sockets before the daemon serves any of them. So if a port is in use, the daemon serves nothing, and
// reports every error at once with the key of the setting.
//
// A UDP socket is never bound to a wildcard address, because replies must leave from the address that the request came to.
// There is one socket for each address of the host instead. An address that the host gets later is served after a restart. A
// TCP listener may be bound to a wildcard address, because its connections know their local address.
package sockets

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
)

// Spec describes the sockets that one setting asks for.
type Spec struct {
	Key      string     // of the setting, such as turn.listen[0]
	Addr     netip.Addr // the zero Addr: every address; 0.0.0.0 or [::]: every address of that family
	Port     uint16     // 0: any free port, the same one for UDP and TCP
	UDP, TCP bool
}

// Group is the open sockets of a Spec.
type Group struct {
	Spec // with the port that the sockets have
	UDP  []*net.UDPConn
	TCP  net.Listener // nil if Spec.TCP is false
	// Skipped are addresses of the host that cannot be bound, such as those whose duplicate address detection is not complete.
	Skipped []netip.Addr
}

// attempts is how often Open tries to open a group with port 0. An attempt fails if the port that the kernel has chosen
// for the first socket is in use at an address of another one.
const attempts = 20

// Open opens the sockets of all specs. If any fails, Open closes the others and returns all errors. local are the addresses of
// the host.
func Open(specs []Spec, local []netip.Addr) ([]Group, error) {
	var groups []Group
	var problems []error
	for _, s := range specs {
		g, err := open(s, local)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		groups = append(groups, g)
	}
	if len(problems) > 0 {
		Close(groups)
		return nil, errors.Join(problems...)
	}
	return groups, nil
}

// Close closes the sockets of groups.
func Close(groups []Group) {
	for _, g := range groups {
		g.close()
	}
}

func (g *Group) close() {
	for _, c := range g.UDP {
		_ = c.Close()
	}
	if g.TCP != nil {
		_ = g.TCP.Close()
	}
}

func open(s Spec, local []netip.Addr) (Group, error) {
	for attempt := 1; ; attempt++ {
		g := Group{Spec: s}
		err := g.openAll(local)
		if err == nil {
			return g, nil
		}
		g.close()
		if s.Port != 0 || attempt == attempts || !errors.Is(err, syscall.EADDRINUSE) {
			return Group{}, err
		}
	}
}

func (g *Group) openAll(local []netip.Addr) error {
	var problems []error
	if g.Spec.TCP {
		problems = append(problems, g.openTCP())
	}
	if g.Spec.UDP {
		problems = append(problems, g.openUDP(local))
	}
	return errors.Join(problems...)
}

func (g *Group) openTCP() error {
	network, host := "tcp", ""
	if g.Addr.IsValid() {
		network, host = "tcp6", g.Addr.String()
		if g.Addr.Is4() {
			network = "tcp4"
		}
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), network, net.JoinHostPort(host, fmt.Sprint(g.Port)))
	if err != nil {
		return g.explain("tcp", g.Addr, err)
	}
	g.TCP = l
	g.Port = l.Addr().(*net.TCPAddr).AddrPort().Port()
	return nil
}

func (g *Group) openUDP(local []netip.Addr) error {
	explicit := g.Addr.IsValid() && !g.Addr.IsUnspecified()
	for _, a := range g.addresses(local) {
		// ListenPacket sets neither SO_REUSEADDR nor SO_REUSEPORT for unicast UDP, so a port that another process uses is an
		// error.
		var lc net.ListenConfig
		c, err := lc.ListenPacket(context.Background(), "udp", netip.AddrPortFrom(a, g.Port).String())
		if errors.Is(err, syscall.EADDRNOTAVAIL) && !explicit {
			g.Skipped = append(g.Skipped, a)
			continue
		}
		if err != nil {
			return g.explain("udp", a, err)
		}
		g.UDP = append(g.UDP, c.(*net.UDPConn))
		g.Port = c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	}
	if len(g.UDP) == 0 {
		return fmt.Errorf("%s: this host has no address for udp %s", g.Key, g.at(g.Addr))
	}
	return nil
}

// addresses returns the addresses of the host that g needs a UDP socket for.
func (g *Group) addresses(local []netip.Addr) []netip.Addr {
	switch {
	case !g.Addr.IsValid():
		return local
	case g.Addr.IsUnspecified():
		return filter(local, func(a netip.Addr) bool { return a.Is4() == g.Addr.Is4() })
	}
	return []netip.Addr{g.Addr}
}

func (g *Group) at(a netip.Addr) string {
	if !a.IsValid() {
		return fmt.Sprintf(":%d", g.Port)
	}
	return netip.AddrPortFrom(a, g.Port).String()
}

// explain returns a bind error in words for the operator who wrote the setting.
func (g *Group) explain(network string, a netip.Addr, err error) error {
	what := fmt.Sprintf("%s: %s %s", g.Key, network, g.at(a))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return &bindError{what + " is in use by another process", err}
	case errors.Is(err, os.ErrPermission):
		return &bindError{what + " needs root or the capability CAP_NET_BIND_SERVICE", err}
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return &bindError{what + ": this host has no such address", err}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// bindError is a bind error in words for an operator.
type bindError struct {
	text  string
	cause error
}

func (e *bindError) Error() string { return e.text }

func (e *bindError) Unwrap() error { return e.cause }

// Addrs returns the local addresses of g's UDP sockets.
func (g *Group) Addrs() []netip.Addr {
	addrs := make([]netip.Addr, len(g.UDP))
	for i, c := range g.UDP {
		addrs[i] = c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	}
	return slices.Compact(addrs)
}
