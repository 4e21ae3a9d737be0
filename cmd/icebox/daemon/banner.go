package daemon

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"icebox/config"
)

// Banner returns the text that the command serve prints once the daemon is ready: the URLs to open or to paste into a client,
// and the warnings. credential is the command that mints a credential.
func (d *Daemon) Banner(credential string) string {
	var b strings.Builder
	row := func(name, value string) { fmt.Fprintf(&b, "  %-11s %s\n", name, value) }
	b.WriteString(d.options.Version + "\n")
	for i, l := range d.cfg().HTTP.Listen {
		at := d.address(l.Address, d.webGroup(i).Port)
		switch {
		case l.Redirect:
		case l.TLS:
			row("pages", "https://"+at+"/  https://"+at+"/trickle-ice/")
			row("signalling", "wss://"+at+"/ws")
		default:
			row("pages", "http://"+at+"/  http://"+at+"/trickle-ice/")
			row("signalling", "ws://"+at+"/ws")
		}
		for _, p := range l.Protocols {
			row(string(p.Protocol), clientURL(d.protocols[p.Protocol].scheme, at+p.Path, l.TLS))
		}
	}
	stun, turn := d.catalogue.URIs("", false)
	for i, uri := range append(stun, turn...) {
		row([]string{"STUN/TURN", ""}[min(i, 1)], uri)
	}
	if len(d.cfg().TURN.Listen) > 0 {
		row("relays from", d.relayChoice.Describe(d.host.Advertised))
	}
	row("credential", credential)
	row("admin", "http://"+d.address(d.cfg().Admin.Address, d.adminGroup().Port)+"/metrics")
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range append(slices.Clone(d.warnings), d.certificateWarnings(time.Now())...) {
		fmt.Fprintf(&b, "  ! %s\n", w)
	}
	return b.String()
}

// clientURL returns the URL of a protocol. scheme is its scheme without TLS.
func clientURL(scheme, at string, secure bool) string {
	if secure {
		scheme += "s"
	}
	return scheme + "://" + at
}

// address returns the host and port by which a browser reaches a listener on e.
func (d *Daemon) address(e config.Endpoint, port uint16) string {
	host := e.Addr.String()
	if !e.Addr.IsValid() || e.Addr.IsUnspecified() {
		host = string(d.cfg().PublicHost)
		if host == "" {
			host = d.host.OfFamily(e.Addr).String()
		}
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}
