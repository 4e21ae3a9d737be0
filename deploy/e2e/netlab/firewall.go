package netlab

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Class is a kind of packet that inet counts separately.
type Class string

// Most classes are packets to and from vps, by the port at vps. Between is the traffic between the
// two routers, and Other is everything else. cloud counts Hairpin; inet counts all others.
const (
	Page    Class = "page"     // TCP 443: pages and signalling
	TURNUDP Class = "turn_udp" // UDP 3478
	TURNTCP Class = "turn_tcp" // TCP 3478
	TLS     Class = "turn_tls" // TCP 5349
	DTLS    Class = "turn_dtls"
	Relay   Class = "relay" // UDP in the relay port range: packets between relayed addresses and hosts outside
	Between Class = "between"
	Errors  Class = "icmp_errors" // ICMP, for example when one side closed a socket before the other knew
	IPv4    Class = "ipv4"        // all IPv4 packets, in addition to their other class
	Other   Class = "other"
	Hairpin Class = "hairpin"
)

var classes = []struct {
	class Class
	proto string
	port  string
}{
	{Page, "tcp", "443"},
	{TURNUDP, "udp", "3478"},
	{TURNTCP, "tcp", "3478"},
	{TLS, "tcp", "5349"},
	{DTLS, "udp", "5349"},
	{Relay, "udp", "49152-65535"},
}

// Count is the traffic of one class in both directions. Bytes include IP headers.
type Count struct{ Packets, Bytes uint64 }

// Counts returns the traffic since the lab was built.
func (l *Lab) Counts() map[Class]Count {
	l.t.Helper()
	counts := l.counters("inet")
	if l.o.Cloud {
		for class, n := range l.counters("cloud") {
			counts[class] = n
		}
	}
	return counts
}

func (l *Lab) counters(host string) map[Class]Count {
	l.t.Helper()
	var reply struct {
		Nftables []struct {
			Counter *struct {
				Name           Class
				Packets, Bytes uint64
			}
		}
	}
	out := l.ip("netns", "exec", l.prefix+host, "nft", "-j", "list", "counters")
	if err := json.Unmarshal(out, &reply); err != nil {
		l.t.Fatalf("netlab: read nft's counters: %v", err)
	}
	counts := map[Class]Count{}
	for _, o := range reply.Nftables {
		if o.Counter != nil {
			counts[o.Counter.Name] = Count{o.Counter.Packets, o.Counter.Bytes}
		}
	}
	return counts
}

// firewall replaces a host's nftables rules.
func (l *Lab) firewall(host, rules string) {
	l.t.Helper()
	l.feed("flush ruleset\n"+rules, "netns", "exec", l.prefix+host, "nft", "-f", "-")
}

// Cut makes a client's router drop everything, as a broken line does, until Mend is called.
func (l *Lab) Cut(host string) {
	l.t.Helper()
	const rules = "table inet cut {\nchain forward { type filter hook forward priority -10; policy drop; }\n}\n"
	l.feed(rules, "netns", "exec", l.prefix+host+"nat", "nft", "-f", "-")
}

// Mend undoes Cut.
func (l *Lab) Mend(host string) {
	l.t.Helper()
	l.feed("delete table inet cut\n", "netns", "exec", l.prefix+host+"nat", "nft", "-f", "-")
}

// natRules are the rules of a home router. It accepts replies from outside, lets the allowed
// packets out, and maps each destination to a random port.
func natRules(allow []string) string {
	out := "iifname lan accept"
	if len(allow) > 0 {
		out = ""
		for _, match := range allow {
			out += "iifname lan " + match + " accept\n"
		}
	}
	return fmt.Sprintf(`
table inet nat {
	chain forward {
		type filter hook forward priority filter; policy drop;
		ct state established,related accept
		%s
	}
	chain post {
		type nat hook postrouting priority srcnat;
		oifname wan masquerade fully-random
	}
}`, out)
}

// cloudRules are the rules of the 1:1 NAT. The hairpin rule comes before connection tracking, which
// could otherwise translate the packet.
func cloudRules() string {
	return fmt.Sprintf(`
table ip nat {
	counter hairpin { }
	chain raw {
		type filter hook prerouting priority raw;
		iifname lan ip daddr %[1]s counter name hairpin drop
	}
	chain pre {
		type nat hook prerouting priority dstnat;
		iifname wan ip daddr %[1]s dnat to %[2]s
	}
	chain post {
		type nat hook postrouting priority srcnat;
		oifname wan ip saddr %[2]s snat to %[1]s
	}
}`, PublicV4, PrivateV4)
}

func (l *Lab) inetRules() string {
	var counters, rules strings.Builder
	for _, c := range classes {
		fmt.Fprintf(&counters, "counter %s { }\n", c.class)
		fmt.Fprintf(&rules, "oifname vps %s dport %s counter name %s accept\n", c.proto, c.port, c.class)
		fmt.Fprintf(&rules, "iifname vps %s sport %s counter name %s accept\n", c.proto, c.port, c.class)
	}
	between := "drop"
	if l.o.Direct {
		between = "accept"
	}
	return fmt.Sprintf(`
table inet count {
	%s
	counter between { }
	counter icmp_errors { }
	counter ipv4 { }
	counter other { }
	chain forward {
		type filter hook forward priority filter;
		meta nfproto ipv4 counter name ipv4
		meta l4proto { icmp, icmpv6 } counter name icmp_errors accept
		iifname { left, right } oifname { left, right } counter name between %s
		%s
		counter name other
	}
}`, counters.String(), between, rules.String())
}
