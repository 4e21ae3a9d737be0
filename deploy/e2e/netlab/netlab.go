// Package netlab builds a small Internet from Linux network namespaces, on which browser calls are
// tested:
//
//	left  -- leftnat  --+
//	                    +-- inet -- [cloud --] vps
//	right -- rightnat --+
//
// left and right are two homes. Their routers are symmetric NATs: they use a new random port for
// every destination. inet has a route to each public address, but drops and counts what one router
// sends to the other. So nothing reaches right from left unless a program on vps relays it. All
// public addresses are ordinary global ones, outside the IANA special-purpose tables, so that the
// tests use the daemon's default peer policy.
//
// inet counts packets. Each packet to or from vps belongs to one class, depending on the port at
// vps.
//
// With Options.Cloud, vps has private addresses behind cloud, a 1:1 NAT that drops hairpinned
// packets (those from vps to its own public address).
//
// Tests that use it call sandbox.Run in TestMain, which removes everything at the end.
package netlab

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The hosts on which tests run programs.
const (
	Left  = "left"
	Right = "right"
	VPS   = "vps"
	Inet  = "inet" // has a direct link to vps
)

// Public addresses of vps. They are its own, or, with Options.Cloud, cloud's.
var (
	PublicV4 = netip.MustParseAddr("45.33.3.2")
	PublicV6 = netip.MustParseAddr("2600:3c01:0:3::2")
)

// PrivateV4 is vps's own address with Options.Cloud.
var PrivateV4 = netip.MustParseAddr("10.0.0.5")

// Options select a variant of the network.
type Options struct {
	Name   string   // vps's name in the clients' hosts files
	Also   string   // another name of vps; empty: none
	NoV4   bool     // clients have IPv6 only
	NoV6   bool     // clients have IPv4 only
	Cloud  bool     // vps is behind an IPv4 1:1 NAT that drops hairpinned packets, and has no IPv6
	Allow  []string // nft matches for what the clients' routers let out ("tcp dport 443"); empty: everything
	Direct bool     // inet forwards packets between the two routers, so that only the NATs separate the homes

	Office  []netip.Addr // vps's addresses, out of PublicV4 and PublicV6; nil: both. Cloud ignores it.
	NoRoute bool         // vps has no default route, so that only inet reaches it
	Bridge  string       // address and prefix length of a bridge on vps that is connected to nothing, like Docker's; empty: no bridge
}

// Lab is one such network. It is not safe for concurrent use.
type Lab struct {
	t      testing.TB
	o      Options
	prefix string
	dir    string
}

var labs atomic.Int32

// New builds the network and removes it when the test ends.
func New(t testing.TB, o Options) *Lab {
	t.Helper()
	l := &Lab{t: t, o: o, prefix: fmt.Sprintf("lab%d-", labs.Add(1)), dir: t.TempDir()}
	for _, h := range l.hosts() {
		l.ip("netns", "add", l.prefix+h)
		t.Cleanup(func() { l.remove(h) })
		l.ip("-n", l.prefix+h, "link", "set", "lo", "up")
		l.sysctl(h, "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0")
	}
	l.home(Left, 1)
	l.home(Right, 2)
	l.office()
	l.firewall("inet", l.inetRules())
	if err := os.WriteFile(filepath.Join(l.dir, "hosts"), []byte(l.hostsFile()), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(l.dir, "resolv.conf"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *Lab) hosts() []string {
	h := []string{"inet", Left, "leftnat", Right, "rightnat", VPS}
	if l.o.Cloud {
		h = append(h, "cloud")
	}
	return h
}

// home creates a client's host and router. n is part of all their addresses.
func (l *Lab) home(host string, n int) {
	nat := host + "nat"
	l.link(host, "eth0", nat, "lan")
	l.link(nat, "wan", "inet", host)
	l.addr("inet", host, fmt.Sprintf("45.33.%d.1/30", n), fmt.Sprintf("2600:3c01:0:%d::1/64", n))
	l.addr(nat, "wan", fmt.Sprintf("45.33.%d.2/30", n), fmt.Sprintf("2600:3c01:0:%d::2/64", n))
	l.route(nat, "wan", fmt.Sprintf("45.33.%d.1", n), fmt.Sprintf("2600:3c01:0:%d::1", n))
	if !l.o.NoV4 {
		l.addr(nat, "lan", fmt.Sprintf("192.168.%d.1/24", n))
		l.addr(host, "eth0", fmt.Sprintf("192.168.%d.2/24", n))
		l.route(host, "eth0", fmt.Sprintf("192.168.%d.1", n))
	}
	if !l.o.NoV6 {
		l.addr(nat, "lan", fmt.Sprintf("fd00:%d::1/64", n))
		l.addr(host, "eth0", fmt.Sprintf("fd00:%d::2/64", n))
		l.route(host, "eth0", fmt.Sprintf("fd00:%d::1", n))
	}
	l.forwards(nat)
	l.firewall(nat, natRules(l.o.Allow))
}

// office creates vps and, if requested, cloud in front of it.
func (l *Lab) office() {
	if !l.o.Cloud {
		l.plainOffice()
		return
	}
	l.link("cloud", "wan", "inet", VPS)
	l.link(VPS, "eth0", "cloud", "lan")
	l.addr("inet", VPS, "45.33.3.1/30")
	l.addr("cloud", "wan", PublicV4.String()+"/30")
	l.route("cloud", "wan", "45.33.3.1")
	l.addr("cloud", "lan", "10.0.0.1/24")
	l.addr(VPS, "eth0", PrivateV4.String()+"/24")
	l.route(VPS, "eth0", "10.0.0.1")
	l.forwards("cloud")
	l.forwards("inet")
	l.firewall("cloud", cloudRules())
}

// plainOffice makes vps with public addresses of its own.
func (l *Lab) plainOffice() {
	l.link(VPS, "eth0", "inet", VPS)
	l.addr("inet", VPS, "45.33.3.1/30", "2600:3c01:0:3::1/64")
	for _, a := range []struct {
		addr          netip.Addr
		bits, gateway string
	}{{PublicV4, "/30", "45.33.3.1"}, {PublicV6, "/64", "2600:3c01:0:3::1"}} {
		if l.o.Office != nil && !slices.Contains(l.o.Office, a.addr) {
			continue
		}
		l.addr(VPS, "eth0", a.addr.String()+a.bits)
		if !l.o.NoRoute {
			l.route(VPS, "eth0", a.gateway)
		}
	}
	if l.o.Bridge != "" {
		l.ip("-n", l.prefix+VPS, "link", "add", "docker0", "type", "bridge")
		l.addr(VPS, "docker0", l.o.Bridge)
		l.ip("-n", l.prefix+VPS, "link", "set", "docker0", "up")
	}
	l.forwards("inet")
}

func (l *Lab) hostsFile() string {
	lines := []string{"127.0.0.1 localhost", "::1 localhost"}
	names := " " + l.o.Name + " " + l.o.Name + "."
	if l.o.Also != "" {
		names += " " + l.o.Also + " " + l.o.Also + "."
	}
	if !l.o.NoV4 {
		lines = append(lines, PublicV4.String()+names)
	}
	if !l.o.NoV6 && !l.o.Cloud {
		lines = append(lines, PublicV6.String()+names)
	}
	return strings.Join(lines, "\n") + "\n"
}

// Command returns a command that runs on a host, with the lab's hosts file and without DNS.
func (l *Lab) Command(ctx context.Context, host string, argv ...string) *exec.Cmd {
	const script = `mount --bind "$1/hosts" /etc/hosts && mount --bind "$1/resolv.conf" /etc/resolv.conf && shift && exec "$@"`
	args := append([]string{"netns", "exec", l.prefix + host, "sh", "-c", script, "sh", l.dir}, argv...)
	return exec.CommandContext(ctx, "ip", args...)
}

func (l *Lab) link(a, aName, b, bName string) {
	l.ip("-n", l.prefix+a, "link", "add", aName, "type", "veth", "peer", "name", bName, "netns", l.prefix+b)
	l.ip("-n", l.prefix+a, "link", "set", aName, "up")
	l.ip("-n", l.prefix+b, "link", "set", bName, "up")
}

func (l *Lab) addr(host, dev string, prefixes ...string) {
	for _, p := range prefixes {
		l.ip("-n", l.prefix+host, "addr", "add", p, "dev", dev)
	}
}

func (l *Lab) route(host, dev string, gateways ...string) {
	for _, g := range gateways {
		l.ip("-n", l.prefix+host, "route", "add", "default", "via", g, "dev", dev)
	}
}

func (l *Lab) forwards(host string) {
	l.sysctl(host, "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
}

func (l *Lab) sysctl(host string, settings ...string) {
	l.ip(append([]string{"netns", "exec", l.prefix + host, "sysctl", "-q", "-w"}, settings...)...)
}

func (l *Lab) remove(host string) {
	pids, err := exec.Command("ip", "netns", "pids", l.prefix+host).Output()
	if err == nil && len(pids) > 0 {
		kill := append([]string{"-KILL"}, strings.Fields(string(pids))...)
		l.t.Logf("netlab: processes left on %s: %s", host, kill[1:])
		_ = exec.Command("kill", kill...).Run() // fails only if the processes have just ended
	}
	l.ip("netns", "del", l.prefix+host)
}

// ip runs one iproute2 command, which must succeed.
func (l *Lab) ip(args ...string) []byte {
	l.t.Helper()
	return l.feed("", args...)
}

func (l *Lab) feed(stdin string, args ...string) []byte {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, "ip", args...)
	c.Stdin = strings.NewReader(stdin)
	var errs strings.Builder
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		l.t.Fatalf("netlab: ip %s: %v: %s", strings.Join(args, " "), err, errs.String())
	}
	return out
}
