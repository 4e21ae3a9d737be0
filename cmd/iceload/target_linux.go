package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"icebox/cmd/iceload/generator"
	"icebox/cmd/iceload/procstat"
	"icebox/cmd/iceload/sockets"
	"icebox/cmd/iceload/turnclient"
	"icebox/turnserver/credential"
)

// target is the server under test and how clients sign in there.
type target struct {
	server         string
	transport      string
	ipv6           bool
	user, password string
	secret         string
	ownsServer     bool
	pid            int
	peerAddress    string
	peers          int
	workers        int
	window         int
	ownSockets     bool
}

func (t *target) flags(set *pflag.FlagSet) {
	set.StringVar(&t.server, "server", "", "`host:port` of the TURN server (default port: 3478, or 5349 over TLS and DTLS)")
	set.StringVar(&t.transport, "transport", "udp", "udp, tcp, tls or dtls (certificates are not verified)")
	set.BoolVar(&t.ipv6, "ipv6", false, "use the server's IPv6 address, IPv6 relayed addresses and peers")
	set.StringVar(&t.user, "user", "", "user `name` of the long-term credential that all allocations share")
	set.StringVar(&t.password, "password", "", "password of --user")
	set.StringVar(&t.secret, "secret", "", "shared `secret`: each allocation gets a time-limited credential for a user of its own")
	set.BoolVar(&t.ownsServer, "i-own-this-server", false, "load a server whose address is neither loopback nor private")
	set.IntVar(&t.pid, "pid", 0, "process `ID` of the server on this host, to measure its CPU time and memory")
	set.StringVar(&t.peerAddress, "peer-address", "", "local `address` of the first peer (default: 127.0.0.2 for a server on 127.0.0.0/8, otherwise the address from which this host reaches the server)")
	set.IntVar(&t.workers, "workers", 1, "threads of the generator")
	set.IntVar(&t.window, "window", 32, "clients that wait for a response at the same time")
	set.BoolVar(&t.ownSockets, "own-sockets", false, "give each UDP client a socket of its own even on loopback, where clients can share one")
}

// generatorOptions returns the generator's options for this target. Those about traffic have their
// smallest values.
func (t *target) generatorOptions(ctx context.Context, allocations int) (generator.Options, error) {
	o := generator.Options{
		Transport:   sockets.Transport(t.transport),
		TLS:         &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, //nolint:gosec // a load test, not a conversation
		Allocations: allocations,
		Workers:     min(t.workers, max(1, allocations)),
		Window:      t.window,
		OwnSockets:  t.ownSockets,
		Rate:        1, Size: generator.MinSize, Burst: 1,
		Direction: generator.Both,
	}
	if allocations > generator.MaxAllocations {
		return o, fmt.Errorf("--allocations is %d: at most %d", allocations, generator.MaxAllocations)
	}
	var err error
	if o.Server, err = t.resolve(ctx); err != nil {
		return o, err
	}
	if o.PeerAddress, err = t.peer(o.Server); err != nil {
		return o, err
	}
	switch {
	case t.peers != 0:
		o.Peers = t.peers
	case o.PeerAddress.Is4() && o.PeerAddress.IsLoopback():
		o.Peers = max(1, allocations) // there are enough addresses, and one socket serves all of them
	default:
		o.Peers = 1
	}
	o.Account, err = t.accounts(allocations)
	return o, err
}

// resolve looks the server's address up and refuses public addresses unless --i-own-this-server is
// given.
func (t *target) resolve(ctx context.Context) (netip.AddrPort, error) {
	var none netip.AddrPort
	if t.server == "" {
		return none, errors.New("--server is missing")
	}
	host, service, err := net.SplitHostPort(t.server)
	if err != nil {
		host, service = t.server, "3478"
		if t.transport == string(sockets.TLS) || t.transport == string(sockets.DTLS) {
			service = "5349"
		}
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil || port == 0 {
		return none, fmt.Errorf("--server %s: %q is not a port", t.server, service)
	}
	network := "ip4"
	if t.ipv6 {
		network = "ip6"
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, network, host)
	if err != nil {
		return none, fmt.Errorf("--server %s: %w", t.server, err)
	}
	addr := addrs[0].Unmap()
	if !t.ownsServer && !addr.IsLoopback() && !addr.IsPrivate() && !addr.IsLinkLocalUnicast() {
		return none, fmt.Errorf("--server %s: %v is neither loopback nor private: a load test of somebody else's server is an attack; if the server is yours, add --i-own-this-server", t.server, addr)
	}
	return netip.AddrPortFrom(addr, uint16(port)), nil
}

// peer returns the address of the first peer.
func (t *target) peer(server netip.AddrPort) (netip.Addr, error) {
	if t.peerAddress != "" {
		a, err := netip.ParseAddr(t.peerAddress)
		if err != nil {
			return a, fmt.Errorf("--peer-address: %w", err)
		}
		return a.Unmap(), nil
	}
	if server.Addr().Is4() && server.Addr().IsLoopback() {
		// The server's own address will not do, because icebox denies peers there.
		a := netip.AddrFrom4([4]byte{127, 0, 0, 2})
		if a == server.Addr() {
			a = a.Next()
		}
		return a, nil
	}
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(server)) // connects the socket without sending anything
	if err != nil {
		return netip.Addr{}, fmt.Errorf("find a peer address: %w", err)
	}
	local := c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	return local, c.Close()
}

// credentialLife is how long the time-limited credentials are valid.
const credentialLife = 25 * time.Hour

// accounts returns a function that returns the credential of each of n allocations.
func (t *target) accounts(n int) (func(int) turnclient.Account, error) {
	if (t.user == "") == (t.secret == "") {
		return nil, errors.New("one of --user and --secret is needed")
	}
	if t.user != "" {
		return func(int) turnclient.Account { return turnclient.Account{Username: t.user, Password: t.password} }, nil
	}
	minter := credential.NewMinter([]byte(t.secret))
	accounts := make([]turnclient.Account, n)
	for i := range accounts {
		c, err := minter.Mint(fmt.Sprintf("iceload-%d", i), credentialLife, time.Now())
		if err != nil {
			return nil, err
		}
		accounts[i] = turnclient.Account{Username: c.Username, Password: c.Password}
	}
	return func(i int) turnclient.Account { return accounts[i] }, nil
}

// openProcess returns the server's process, or nil if --pid is not given.
func (t *target) openProcess() (*procstat.Process, error) {
	if t.pid == 0 {
		return nil, nil
	}
	p, err := procstat.Open(t.pid)
	if err != nil {
		return nil, fmt.Errorf("--pid: %w", err)
	}
	return p, nil
}
