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

// open opens all sockets.
func (d *Daemon) open() error {
	var specs []sockets.Spec
	for i, l := range d.cfg().TURN.Listen {
		udp, tcp := false, false
		for _, t := range l.Transports {
			udp, tcp = udp || !t.Stream(), tcp || t.Stream() && !d.sharesWeb(i)
		}
		specs = append(specs, socketSpec(fmt.Sprintf("turn.listen[%d]", i), l.Address, udp, tcp))
	}
	for i, l := range d.cfg().HTTP.Listen {
		specs = append(specs, socketSpec(fmt.Sprintf("http.listen[%d]", i), l.Address, l.STUN, true))
	}
	specs = append(specs, socketSpec("admin.address", d.cfg().Admin.Address, false, true))

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
			d.skippedAddrs = append(d.skippedAddrs, fmt.Sprintf("%s: %s cannot be bound yet and is not served before the next restart", g.Key, a))
		}
	}
	return nil
}

func socketSpec(key string, e config.Endpoint, udp, tcp bool) sockets.Spec {
	return sockets.Spec{Key: key, Addr: e.Addr, Port: e.Port, UDP: udp, TCP: tcp}
}

func (d *Daemon) turnGroup(i int) *sockets.Group { return &d.opened[i] }

func (d *Daemon) webGroup(i int) *sockets.Group { return &d.opened[len(d.cfg().TURN.Listen)+i] }

func (d *Daemon) adminGroup() *sockets.Group { return &d.opened[len(d.opened)-1] }

// sharesWeb reports whether turn.listen[i] shares its TCP port with a listener of http.listen.
func (d *Daemon) sharesWeb(i int) bool {
	return slices.ContainsFunc(d.cfg().Shared(), func(s config.Sharing) bool { return s.TURN == i })
}

// sharesTURN reports whether http.listen[i] shares its port with a listener of turn.listen.
func (d *Daemon) sharesTURN(i int) bool {
	return slices.ContainsFunc(d.cfg().Shared(), func(s config.Sharing) bool { return s.HTTP == i })
}

// withProxyProtocol returns raw, or, if enabled, a listener on it that reads the client's address from PROXY headers.
func (d *Daemon) withProxyProtocol(raw net.Listener, enabled bool) net.Listener {
	if !enabled {
		return raw
	}
	l := proxyproto.Listen(raw, d.isTrustedProxy, d.log.With("component", "proxy"))
	d.preaccepting = append(d.preaccepting, l)
	return l
}

// isTrustedProxy reports whether a belongs to http.trusted_proxies, so that the daemon believes its PROXY headers.
func (d *Daemon) isTrustedProxy(a netip.Addr) bool {
	return slices.ContainsFunc(d.cfg().HTTP.TrustedProxies, func(p config.Prefix) bool { return p.Contains(a) })
}

// startWeb serves each listener of http.listen. It also serves TURN on the ports that the web and TURN share.
func (d *Daemon) startWeb() error {
	connections := sharedport.NewCounter(d.registry)
	for i, l := range d.cfg().HTTP.Listen {
		h, secure := d.withChallenges(d.handlers[i]), (*tls.Config)(nil)
		if !l.TLS && !l.ProxyProtocol && !d.sharesTURN(i) && !l.Redirect {
			listener, err := websocket.NewUpgradeListener(d.webGroup(i).TCP, h, d.gate.CanAnswerInline, d.log.With("component", "signal"))
			if err != nil {
				return fmt.Errorf("serve http on %s: %w", l.Address, err)
			}
			d.web = append(d.web, serveWeb(listener, h, nil, d.log, d.stopWithError))
			continue
		}
		raw := websocket.Listen(d.webGroup(i).TCP) // below TLS and the PROXY protocol, so that it sees the TCP connection
		listener := d.withProxyProtocol(raw, l.ProxyProtocol)
		if l.TLS {
			h, secure = d.handlers[i], d.serverConfig()
		}
		if d.sharesTURN(i) {
			shared := sharedport.Share(listener, sharedport.Options{
				TLS: d.serverConfig(sharedport.Protocols()...), TURN: d.serveTURN, Log: d.log.With("component", "sharedport"), Connections: connections,
			})
			d.preaccepting = append(d.preaccepting, shared)
			listener, secure = shared, nil
		}
		d.web = append(d.web, serveWeb(listener, h, secure, d.log, d.stopWithError))
	}
	return nil
}

// serveTURN serves a TURN client that connected to a shared port.
func (d *Daemon) serveTURN(c net.Conn) {
	remote, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		_ = c.Close() // it is not a TCP connection
		return
	}
	d.turn.ServeConn(c, remote.AddrPort(), turnserver.TLS)
}

// closePreaccepting closes the listeners between sockets and servers. Call it after the servers have been shut down.
func (d *Daemon) closePreaccepting() {
	for _, l := range d.preaccepting {
		_ = l.Close() // its server may have closed it
		l.Wait()
	}
}
