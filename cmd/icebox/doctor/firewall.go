package doctor

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// chain is a chain of nftables or iptables. It has only the parts that the check needs.
type chain struct {
	input, drops bool
	rules        []string
}

var (
	nftChain = regexp.MustCompile(`^\s*chain (\S+) \{`)
	dports   = regexp.MustCompile(`dports? (\{[^}]*\}|\S+)`)
	portSpan = regexp.MustCompile(`(\d+)(?:[-:](\d+))?`)
	anywhere = regexp.MustCompile(`^(counter packets \d+ bytes \d+ )?accept$`)
)

// firewall checks whether a firewall of this host drops packets of peers to the relay range, or of clients to the
// listeners. It understands rules that open ports by number. People, ufw and firewalld write rules in this form.
func (e *examination) firewall() {
	text, err := e.Run(e.ctx, "nft", "list", "ruleset")
	if err != nil {
		e.report("firewall", Unknown, "the rules of the firewall cannot be read (nft list ruleset needs root)", "")
		return
	}
	chains := parseChains(text)
	var rules []string
	closed := false
	for _, c := range chains {
		closed = closed || c.input && c.drops
		rules = append(rules, c.rules...)
	}
	if !closed {
		e.report("firewall", OK, "no firewall of this host drops incoming packets, but your provider may have one", "")
		return
	}
	r := e.Config.TURN.RelayPorts
	bad := false
	if !opens(rules, "udp", int(r.Min), int(r.Max)) {
		bad = true
		e.report("firewall", Problem, fmt.Sprintf("the firewall drops UDP to the relay range %d-%d, so calls connect but have no audio and video", r.Min, r.Max),
			fmt.Sprintf("ufw allow %d:%d/udp, or in nftables: udp dport %d-%d accept", r.Min, r.Max, r.Min, r.Max))
	}
	for _, want := range e.wants() {
		if want.addr.IsLoopback() || opens(rules, want.network, int(want.port), int(want.port)) {
			continue
		}
		bad = true
		e.report("firewall", Problem, fmt.Sprintf("the firewall drops packets of clients to %s", want),
			fmt.Sprintf("ufw allow %d/%s, or in nftables: %s dport %d accept", want.port, want.network, want.network, want.port))
	}
	if !bad {
		e.report("firewall", OK, "the firewall of this host lets packets of clients and peers in", "")
	}
}

// parseChains parses the output of `nft list ruleset`. It ignores conditions such as interfaces, so the result is an approximation.
func parseChains(text string) []chain {
	var all []chain
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSpace(line)
		if nftChain.MatchString(line) {
			all = append(all, chain{})
			continue
		}
		if len(all) == 0 || line == "" || line == "}" {
			continue
		}
		c := &all[len(all)-1]
		switch {
		case strings.Contains(line, "hook input"):
			c.input = true
			c.drops = strings.Contains(line, "policy drop")
		case c.input && (line == "drop" || line == "reject" || strings.HasPrefix(line, "reject with") || strings.HasPrefix(line, "counter") && strings.HasSuffix(line, " drop")):
			c.drops = true
		default:
			c.rules = append(c.rules, line)
		}
	}
	return all
}

// opens reports whether one of the rules accepts packets to all ports from low to high.
func opens(rules []string, network string, low, high int) bool {
	for _, r := range rules {
		if anywhere.MatchString(r) {
			return true
		}
		if !strings.Contains(r, "accept") && !strings.Contains(r, "jump") && !strings.Contains(r, "goto") {
			continue
		}
		ports := dports.FindStringSubmatch(r)
		if ports == nil || !strings.Contains(r, network+" ") && !strings.Contains(r, "th dport") {
			continue
		}
		for _, span := range portSpan.FindAllStringSubmatch(ports[1], -1) {
			first, _ := strconv.Atoi(span[1])
			last := first
			if span[2] != "" {
				last, _ = strconv.Atoi(span[2])
			}
			if first <= low && high <= last {
				return true
			}
		}
	}
	return false
}
