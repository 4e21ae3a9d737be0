package coturn

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
)

// listener is one port and what coturn takes there.
type listener struct {
	addr       netip.Addr // zero: all
	port       uint16
	transports []string
	proxy      bool // clients come through one that sends the PROXY protocol
}

func (l listener) String() string {
	if !l.addr.IsValid() {
		return fmt.Sprintf(":%d", l.port)
	}
	return netip.AddrPortFrom(l.addr, l.port).String()
}

const (
	plainPort = 3478
	tlsPort   = 5349
)

// listeners translates addresses, ports and transports.
func (t *translation) listeners() {
	addrs := t.listeningIPs()
	plain := t.transports("udp", "no-udp", "tcp", "no-tcp")
	var encrypted []string
	if t.tls {
		encrypted = t.transports("tls", "no-tls", "dtls", "no-dtls")
	} else if l, ok := t.last("tls-listening-port"); ok {
		t.warn(l, "there is no certificate, so nobody listens there")
	}
	var all []listener
	add := func(addr netip.Addr, port uint16, transports []string) {
		all = t.merge(all, listener{addr: addr, port: port, transports: transports})
	}
	plainAt, encryptedAt := t.ports("listening-port", "alt-listening-port", plainPort), t.ports("tls-listening-port", "alt-tls-listening-port", tlsPort)
	for _, a := range addrs {
		for _, port := range plainAt {
			add(a, port, plain)
		}
		for _, port := range encryptedAt {
			add(a, port, encrypted)
		}
	}
	for _, l := range t.all("aux-server") {
		if at, err := netip.ParseAddrPort(l.value); err == nil && at.Port() != 0 {
			add(at.Addr().Unmap(), at.Port(), plain)
		} else {
			t.refuse(l, "%q is no address with a port", l.value)
		}
	}
	all = t.proxied(all, addrs)
	t.listening = all
	t.writeListeners(all)
}

func (t *translation) writeListeners(all []listener) {
	if len(all) == 0 {
		t.result.Warnings = append(t.result.Warnings, Note{Text: "every transport is off, so turn.listen is empty: icebox would relay for nobody"})
	}
	records := []record{}
	for _, l := range all {
		r := record{{"address", l.String()}, {"transports", l.transports}}
		if l.proxy {
			r = append(r, pair{"proxy_protocol", true})
		}
		records = append(records, r)
	}
	t.doc.set("turn.listen", records, "")
	if t.tls && len(all) > 0 {
		t.result.Warnings = append(t.result.Warnings, Note{Text: "coturn takes TLS on the plain port and plain TCP on the TLS port too; " +
			"icebox takes each on its own: a client whose URI mixes them needs the other port"})
	}
}

// proxied adds the port for clients behind a proxy.
func (t *translation) proxied(all []listener, addrs []netip.Addr) []listener {
	l, ok := t.last("tcp-proxy-port")
	if !ok {
		return all
	}
	n, ok := t.number(l, 1, 65535)
	switch {
	case !ok:
		return all
	case slices.ContainsFunc(all, func(o listener) bool { return o.port == uint16(n) }):
		t.refuse(l, "the port is taken by another listener")
		return all
	}
	for _, a := range addrs {
		all = append(all, listener{addr: a, port: uint16(n), transports: []string{"tcp"}, proxy: true})
	}
	t.warn(l, "only proxies of http.trusted_proxies are believed, which is loopback unless you set it")
	return all
}

// transports are those that no option turns off, given as pairs.
func (t *translation) transports(pairs ...string) []string {
	var on []string
	for i := 0; i < len(pairs); i += 2 {
		if !t.on(pairs[i+1]) {
			on = append(on, pairs[i])
		}
	}
	return on
}

// listeningIPs are the addresses to listen on, the zero one for all.
func (t *translation) listeningIPs() []netip.Addr {
	var addrs []netip.Addr
	for _, l := range t.all("listening-ip") {
		a, err := netip.ParseAddr(l.value)
		switch {
		case err != nil || a.Zone() != "":
			t.refuse(l, "%q is no IP address without a zone", l.value)
		case !slices.Contains(addrs, a.Unmap()):
			addrs = append(addrs, a.Unmap())
		}
	}
	v4, v6 := netip.IPv4Unspecified(), netip.IPv6Unspecified()
	if len(addrs) == 0 || slices.Contains(addrs, v4) && slices.Contains(addrs, v6) {
		return []netip.Addr{{}}
	}
	covered := func(a netip.Addr) bool {
		return !a.IsUnspecified() && (a.Is4() && slices.Contains(addrs, v4) || a.Is6() && slices.Contains(addrs, v6))
	}
	return slices.DeleteFunc(addrs, covered)
}

// ports are that of the first option, or the default, and that of the second
// where the file has it.
func (t *translation) ports(option, alternative string, usual uint16) []uint16 {
	ports := []uint16{usual}
	if l, ok := t.last(option); ok {
		if n, ok := t.number(l, 0, 65535); ok && n > 0 {
			ports[0] = uint16(n)
		}
	}
	if l, ok := t.last(alternative); ok {
		if n, ok := t.number(l, 0, 65535); ok && n > 0 && uint16(n) != ports[0] {
			ports = append(ports, uint16(n))
		}
	}
	return ports
}

// merge adds l where no other has its port, or else its transports to that one.
func (t *translation) merge(all []listener, l listener) []listener {
	if len(l.transports) == 0 {
		return all
	}
	for i := range all {
		same := all[i].port == l.port && (all[i].addr == l.addr || !all[i].addr.IsValid() ||
			all[i].addr.IsUnspecified() && all[i].addr.Is4() == l.addr.Is4())
		if !same {
			continue
		}
		for _, more := range l.transports {
			if !slices.Contains(all[i].transports, more) {
				all[i].transports = append(slices.Clip(all[i].transports), more)
			}
		}
		if slices.Contains(all[i].transports, "tls") && slices.Contains(all[i].transports, "tcp") {
			all[i].transports = slices.DeleteFunc(slices.Clone(all[i].transports), func(s string) bool { return s == "tcp" })
			t.result.Warnings = append(t.result.Warnings, Note{Text: "port " + strconv.Itoa(int(l.port)) +
				" is both the plain and the TLS port: icebox takes TLS there and no plain TCP"})
		}
		return all
	}
	return append(all, l)
}

// relay translates the addresses and ports that peers see.
func (t *translation) relay() {
	var addrs []string
	for _, l := range t.all("relay-ip") {
		a, err := netip.ParseAddr(l.value)
		switch {
		case err != nil || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast():
			t.refuse(l, "%q is no IP address to relay from", l.value)
		case !slices.Contains(addrs, a.Unmap().String()):
			addrs = append(addrs, a.Unmap().String())
		}
	}
	why := ""
	if len(addrs) == 0 {
		for _, a := range t.listeningIPs() {
			if a.IsValid() && !a.IsUnspecified() && !a.IsLinkLocalUnicast() && !a.IsMulticast() {
				addrs = append(addrs, a.String())
			}
		}
		why = "coturn relays from its listening addresses when none is named."
	}
	if len(addrs) > 0 {
		t.doc.set("turn.relay_addresses", addrs, why)
	}
	t.relayPorts()
	t.externalIP()
}

func (t *translation) relayPorts() {
	low, high := int64(49152), int64(65535)
	var set bool
	for option, n := range map[string]*int64{"min-port": &low, "max-port": &high} {
		if l, ok := t.last(option); ok {
			if value, ok := t.number(l, 1, 65535); ok {
				*n, set = value, true
			}
		}
	}
	if !set {
		return
	}
	if low < 1024 {
		l, _ := t.last("min-port")
		t.warn(l, "ports below 1024 are for services: the range starts at 1024")
		low = 1024
	}
	if high < low {
		l, _ := t.last("max-port")
		t.refuse(l, "%d-%d is no range: the usual one is used", low, high)
		return
	}
	t.doc.set("turn.relay_ports", fmt.Sprintf("%d-%d", low, high), "")
}
