package daemon

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"icebox/cmd/icebox/endpoints"
	"icebox/cmd/icebox/proxyproto"
	"icebox/cmd/icebox/sharedport"
	"icebox/cmd/icebox/sockets"
	"icebox/config"
	"icebox/signal/websocket"
	"icebox/turnserver"
)

// open opens all sockets; the groups are those of turn.listen, http.listen and
// admin, in this order.
func (d *Daemon) open() error {
	var specs []sockets.Spec
	for i, l := range d.cfg().TURN.Listen {
		udp, tcp := false, false
		for _, t := range l.Transports {
			udp, tcp = udp || !t.Stream(), tcp || t.Stream() && !d.sharesWeb(i)
		}
		specs = append(specs, spec(fmt.Sprintf("turn.listen[%d]", i), l.Address, udp, tcp))
	}
	for i, l := range d.cfg().HTTP.Listen {
		specs = append(specs, spec(fmt.Sprintf("http.listen[%d]", i), l.Address, l.STUN, true))
	}
	specs = append(specs, spec("admin.address", d.cfg().Admin.Address, false, true))

	var err error
	if d.opened, err = sockets.Open(specs, d.host.Local); err != nil {
		return err
	}
	d.catalogue = d.host.Catalogue(d.cfg(), endpoints.Ports{
		TURN: func(i int) uint16 { return d.turnGroup(i).Port },
		HTTP: func(i int) uint16 { return d.webGroup(i).Port },
	})
	for _, g := range d.opened {
		for _, a := range g.Skipped {
			d.skipped = append(d.skipped, fmt.Sprintf("%s: %s cannot be bound yet and is not served until a restart", g.Key, a))
		}
	}
	return nil
}

func spec(key string, e config.Endpoint, udp, tcp bool) sockets.Spec {
	return sockets.Spec{Key: key, Addr: e.Addr, Port: e.Port, UDP: udp, TCP: tcp}
}

func (d *Daemon) turnGroup(i int) *sockets.Group { return &d.opened[i] }

func (d *Daemon) webGroup(i int) *sockets.Group { return &d.opened[len(d.cfg().TURN.Listen)+i] }

func (d *Daemon) adminGroup() *sockets.Group { return &d.opened[len(d.opened)-1] }

// sharesWeb reports whether the TCP port of turn.listen[i] is a web listener's.
func (d *Daemon) sharesWeb(i int) bool {
	return slices.ContainsFunc(d.cfg().Shared(), func(s config.Sharing) bool { return s.TURN == i })
}

// sharesTURN reports whether the port of http.listen[i] is a TURN listener's too.
func (d *Daemon) sharesTURN(i int) bool {
	return slices.ContainsFunc(d.cfg().Shared(), func(s config.Sharing) bool { return s.HTTP == i })
}

// believed is a listener behind the PROXY protocol if proxies are to say for whom
// they connect.
func (d *Daemon) believed(raw net.Listener, proxied bool) net.Listener {
	if !proxied {
		return raw
	}
	l := proxyproto.Listen(raw, d.trusts, d.log.With("component", "proxy"))
	d.intakes = append(d.intakes, l)
	return l
}

// trusts reports whether a is a proxy that may speak for others.
func (d *Daemon) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(d.cfg().HTTP.TrustedProxies, func(p config.Prefix) bool { return p.Contains(a) })
}

// startWeb serves each of http.listen, and TURN on those that it shares.
func (d *Daemon) startWeb() error {
	shared := sharedport.NewCounter(d.registry)
	for i, l := range d.cfg().HTTP.Listen {
		h, secure := d.plain(d.handlers[i]), (*tls.Config)(nil)
		if !l.TLS && !l.ProxyProtocol && !d.sharesTURN(i) && !l.Redirect {
			listener, err := websocket.NewUpgradeListener(d.webGroup(i).TCP, h, d.gate.CanAnswerInline, d.log.With("component", "signal"))
			if err != nil {
				return fmt.Errorf("serve http on %s: %w", l.Address, err)
			}
			d.web = append(d.web, serveWeb(listener, h, nil, d.log, d.fail))
			continue
		}
		raw := websocket.Listen(d.webGroup(i).TCP) // at the bottom, below TLS and what proxies say
		listener := d.believed(raw, l.ProxyProtocol)
		if l.TLS {
			h, secure = d.handlers[i], d.certificate.tls()
		}
		if d.sharesTURN(i) {
			both := sharedport.Share(listener, sharedport.Options{
				TLS: d.certificate.tls(sharedport.Protocols()...), TURN: d.serveTURN, Log: d.log.With("component", "sharedport"), Connections: shared,
			})
			d.intakes = append(d.intakes, both)
			listener, secure = both, nil
		}
		d.web = append(d.web, serveWeb(listener, h, secure, d.log, d.fail))
	}
	return nil
}

// serveTURN serves a TURN client of a port that the web has too.
func (d *Daemon) serveTURN(c net.Conn) {
	remote, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		_ = c.Close() // no TCP connection
		return
	}
	d.turn.ServeConn(c, remote.AddrPort(), turnserver.TLS)
}

// closeIntakes ends what is between sockets and servers, after the servers.
func (d *Daemon) closeIntakes() {
	for _, l := range d.intakes {
		_ = l.Close() // its server may have closed it
		l.Wait()
	}
}
