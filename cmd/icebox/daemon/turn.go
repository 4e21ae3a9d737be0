package daemon

import (
	"fmt"
	"net"
	"runtime"
	"slices"
	"sync"

	"icebox/cmd/icebox/sockets"
	"icebox/config"
	"icebox/turnserver"
	"icebox/turnserver/credential"
	"icebox/turnserver/peer"
)

// startTURN starts the relay and gives it its sockets.
func (d *Daemon) startTURN() error {
	var err error
	if d.relayChoice, err = d.host.ChooseRelay(&d.cfg().TURN); err != nil {
		return err
	}
	limits, err := d.turnLimits(d.cfg())
	if err != nil {
		return err
	}
	t := d.cfg().TURN
	d.turn, err = turnserver.New(turnserver.Options{
		Realm:          t.Realm,
		RelayAddrs:     d.relayAddrs(),
		RelayPorts:     turnserver.PortRange(t.RelayPorts),
		GetCertificate: d.source,
		MaxSessionAge:  t.MaxSession,
		Workers:        relayWorkers(),
		Logger:         d.log.With("component", "turn"),
		Registerer:     d.registry,
	}, limits)
	if err != nil {
		return fmt.Errorf("start the relay: %w", err)
	}
	d.checkRelay = d.turn.Check
	for i, l := range t.Listen {
		if err := d.addTURN(d.turnGroup(i), l); err != nil {
			return fmt.Errorf("turn.listen[%d]: %w", i, err)
		}
	}
	for i := range d.cfg().HTTP.Listen {
		if err := d.addUDP(d.webGroup(i).UDP, turnserver.UDPOptions{}); err != nil {
			return fmt.Errorf("http.listen[%d]: %w", i, err)
		}
	}
	return nil
}

// relayAddrs returns the addresses to relay from.
func (d *Daemon) relayAddrs() []turnserver.RelayAddr {
	var out []turnserver.RelayAddr
	for _, a := range d.relayChoice.Addrs {
		out = append(out, turnserver.RelayAddr{Local: a, Advertised: d.host.Advertised(a)})
	}
	return out
}

func (d *Daemon) addTURN(g *sockets.Group, l config.TURNListen) error {
	if err := d.addUDP(g.UDP, turnserver.UDPOptions{DTLS: slices.Contains(l.Transports, config.DTLS)}); err != nil {
		return err
	}
	if g.TCP == nil {
		return nil
	}
	stream := turnserver.TCP
	if slices.Contains(l.Transports, config.OverTLS) {
		stream = turnserver.TLS
	}
	return d.turn.AddListener(d.withProxyProtocol(g.TCP, l.ProxyProtocol), stream)
}

// relayWorkers returns one worker for each core that the process may use. It also lets the Go scheduler run one more thread at
// a time, because the workers keep their threads busy and everything else needs one too.
var relayWorkers = sync.OnceValue(func() int {
	n := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(n + 1)
	return n
})

func (d *Daemon) addUDP(conns []*net.UDPConn, o turnserver.UDPOptions) error {
	for _, c := range conns {
		if err := d.turn.AddUDP(c, o); err != nil {
			return err
		}
	}
	return nil
}

// turnLimits converts the limits of a configuration for the relay.
func (d *Daemon) turnLimits(cfg *config.Config) (turnserver.Limits, error) {
	verifier, err := d.verifier(cfg)
	if err != nil {
		return turnserver.Limits{}, err
	}
	var rules []peer.Rule
	for _, r := range cfg.TURN.Peers {
		rule := peer.Rule{Prefix: r.Deny.Prefix, Ports: peer.PortRange(r.Ports)}
		if r.Allow.IsValid() {
			rule.Prefix, rule.Allow = r.Allow.Prefix, true
		}
		rules = append(rules, rule)
	}
	l := cfg.TURN.Limits
	return turnserver.Limits{
		Credentials:        verifier,
		Peers:              rules,
		OwnAddrs:           d.host.Addrs(),
		AllocationsPerUser: l.AllocationsPerUser,
		AllocationsPerAddr: l.AllocationsPerAddress,
		AllocationsTotal:   l.Allocations,
		Permissions:        l.Permissions,
		Channels:           l.Channels,
		StreamsTotal:       l.Connections,
		StreamsPerAddr:     l.ConnectionsPerAddress,

		Bandwidth:              int(l.Bandwidth),
		BandwidthPerUser:       int(l.BandwidthPerUser),
		BandwidthPerAddr:       int(l.BandwidthPerAddress),
		BandwidthPerAllocation: int(l.BandwidthPerAllocation),
		Replies:                l.Replies,
		RepliesPerPrefix:       l.RepliesPerPrefix,
		StrictChannels:         cfg.TURN.StrictChannels,
		AlternateServers:       cfg.Shutdown.AlternateServers,
	}, nil
}

func (d *Daemon) verifier(cfg *config.Config) (*credential.Verifier, error) {
	options := credential.VerifierOptions{Realm: cfg.TURN.Realm, Own: d.secret, MaxFuture: cfg.Credentials.MaxFuture}
	for _, s := range cfg.Credentials.Secrets {
		options.Shared = append(options.Shared, []byte(s.Secret.Reveal()))
	}
	for _, u := range cfg.TURN.Users {
		options.Users = append(options.Users, credential.User{Name: u.Name, Password: u.Password.Reveal(), Key: u.Key.Bytes()})
	}
	v, err := credential.NewVerifier(options)
	if err != nil {
		return nil, fmt.Errorf("set up credentials: %w", err)
	}
	return v, nil
}
