package coturn

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
)

// listener is one port with the transports that coturn serves on it.
type listener struct {
	addr       netip.Addr // the zero Addr: every address
	port       uint16
	transports []string
	proxy      bool // clients connect through a proxy that sends PROXY headers
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
		t.warn(l, "there is no certificate, so icebox does not listen on this port")
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
			t.reportLost(l, "%q is not an address with a port", l.value)
		}
	}
	all = t.addProxyPort(all, addrs)
	t.listening = all
	t.writeListeners(all)
}

func (t *translation) writeListeners(all []listener) {
	if len(all) == 0 {
		t.result.Warnings = append(t.result.Warnings, Note{Text: "every transport is off, so turn.listen is empty and icebox relays for no client"})
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
		t.result.Warnings = append(t.result.Warnings, Note{Text: "coturn accepts TLS on the plain port and plain TCP on the TLS port too. " +
			"icebox does not: a client whose URI mixes them needs the other port"})
	}
}

// addProxyPort adds the port for clients behind a proxy.
func (t *translation) addProxyPort(all []listener, addrs []netip.Addr) []listener {
	l, ok := t.last("tcp-proxy-port")
	if !ok {
		return all
	}
	n, ok := t.number(l, 1, 65535)
	switch {
	case !ok:
		return all
	case slices.ContainsFunc(all, func(o listener) bool { return o.port == uint16(n) }):
		t.reportLost(l, "the port is taken by another listener")
		return all
	}
	for _, a := range addrs {
		all = append(all, listener{addr: a, port: uint16(n), transports: []string{"tcp"}, proxy: true})
	}
	t.warn(l, "icebox reads PROXY headers only from http.trusted_proxies, which are loopback addresses by default")
	return all
}

// transports returns the transports that are not off. pairs has each transport and the option that turns it off.
func (t *translation) transports(pairs ...string) []string {
	var on []string
	for i := 0; i < len(pairs); i += 2 {
		if !t.on(pairs[i+1]) {
			on = append(on, pairs[i])
		}
	}
	return on
}

// listeningIPs returns the addresses to listen on. The zero Addr stands for every address.
func (t *translation) listeningIPs() []netip.Addr {
	var addrs []netip.Addr
	for _, l := range t.all("listening-ip") {
		a, err := netip.ParseAddr(l.value)
		switch {
		case err != nil || a.Zone() != "":
			t.reportLost(l, "%q is not an IP address without a zone", l.value)
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

// ports returns the port of an option, or the usual one, and the port of the alternative option if the file has that.
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

// merge adds l to all. If another listener has its port, merge adds the transports of l to that one.
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
				" is both the plain and the TLS port: icebox serves TLS there, but no plain TCP"})
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
			t.reportLost(l, "%q is not an IP address to relay from", l.value)
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
		why = "coturn relays from its listening addresses if the file names no others."
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
		t.warn(l, "ports below 1024 are for services, so the range starts at 1024")
		low = 1024
	}
	if high < low {
		l, _ := t.last("max-port")
		t.reportLost(l, "%d-%d is not a range, so the default range is used", low, high)
		return
	}
	t.doc.set("turn.relay_ports", fmt.Sprintf("%d-%d", low, high), "")
}
