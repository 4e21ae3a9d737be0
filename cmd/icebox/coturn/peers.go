package coturn

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
)

// span is a range of addresses of one family, both ends included.
type span struct{ first, last netip.Addr }

// parseSpan reads FIRST-LAST or one address.
func parseSpan(text string) (span, error) {
	low, high, isRange := strings.Cut(text, "-")
	if !isRange {
		high = low
	}
	first, err1 := netip.ParseAddr(strings.TrimSpace(low))
	last, err2 := netip.ParseAddr(strings.TrimSpace(high))
	first, last = first.Unmap(), last.Unmap()
	switch {
	case err1 != nil || err2 != nil || first.Zone() != "" || last.Zone() != "":
		return span{}, errors.New("want an address or FIRST-LAST")
	case first.Is4() != last.Is4():
		return span{}, errors.New("the two ends are of different families")
	case last.Less(first):
		return span{}, errors.New("the range is backwards")
	}
	return span{first, last}, nil
}

// without returns the parts of s that are in none of the others.
func (s span) without(others []span) []span {
	left := []span{s}
	for _, o := range others {
		var next []span
		for _, l := range left {
			next = append(next, l.minus(o)...)
		}
		left = next
	}
	return left
}

func (s span) minus(o span) []span {
	if s.first.Is4() != o.first.Is4() || o.last.Less(s.first) || s.last.Less(o.first) {
		return []span{s}
	}
	var left []span
	if s.first.Less(o.first) {
		left = append(left, span{s.first, o.first.Prev()})
	}
	if o.last.Less(s.last) {
		left = append(left, span{o.last.Next(), s.last})
	}
	return left
}

// prefixes returns the smallest set of prefixes that have exactly the addresses of s.
func (s span) prefixes() []netip.Prefix {
	var all []netip.Prefix
	for at := s.first; at.IsValid() && !s.last.Less(at); {
		p := netip.PrefixFrom(at, at.BitLen())
		for p.Bits() > 0 {
			wider := netip.PrefixFrom(at, p.Bits()-1)
			if wider.Masked().Addr() != at || s.last.Less(lastOf(wider)) {
				break
			}
			p = wider
		}
		all = append(all, p)
		at = lastOf(p).Next()
	}
	return all
}

// lastOf returns the highest address of p.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < p.Addr().BitLen(); bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// peers translates the rules about peers.
func (t *translation) peers() {
	allowed, denied := t.spans("allowed-peer-ip"), t.spans("denied-peer-ip")
	var rules []record
	add := func(key string, s span) {
		for _, p := range s.prefixes() {
			rule := record{{key, p.String()}}
			if !slices.ContainsFunc(rules, func(r record) bool { return r[0] == rule[0] }) {
				rules = append(rules, rule)
			}
		}
	}
	for _, s := range denied {
		for _, left := range s.without(allowed) {
			add("deny", left)
		}
	}
	for _, s := range allowed {
		add("allow", s)
	}
	if len(rules) > 0 {
		t.doc.set("turn.peers", rules, "Peers that coturn both denied and allowed are allowed.")
	}
	private := span{netip.MustParseAddr("10.0.0.0"), netip.MustParseAddr("10.255.255.255")}
	if len(private.without(append(allowed, denied...))) > 0 {
		t.result.Warnings = append(t.result.Warnings, Note{Text: "coturn relays to private addresses unless they are denied. icebox does not. If clients need to reach " +
			"a media server at a private address, allow that in turn.peers, such as {allow: 10.0.0.5}"})
	}
}

func (t *translation) spans(option string) []span {
	var all []span
	for _, l := range t.all(option) {
		s, err := parseSpan(l.value)
		if err != nil {
			t.reportLost(l, "%q: %v", l.value, err)
			continue
		}
		all = append(all, s)
	}
	return all
}

// externalIP translates the public addresses of a NAT.
func (t *translation) externalIP() {
	var records []record
	var seen []netip.Addr
	var bare [2]bool
	for _, l := range t.all("external-ip") {
		publicText, privateText, both := strings.Cut(l.value, "/")
		public, err := netip.ParseAddr(publicText)
		private := public
		if both && err == nil {
			private, err = netip.ParseAddr(privateText)
		}
		public, private = public.Unmap(), private.Unmap()
		family := 0
		if public.Is6() {
			family = 1
		}
		switch {
		case err != nil:
			t.reportLost(l, "want PUBLIC or PUBLIC/PRIVATE, with addresses instead of names")
		case !hostAddr(public) || !hostAddr(private) || public.Is4() != private.Is4():
			t.reportLost(l, "want two unicast addresses of one family")
		case slices.Contains(seen, public) || both && slices.Contains(seen, private) && private != public:
			t.reportLost(l, "an address occurs twice")
		case !both && bare[family]:
			t.reportLost(l, "each of several public addresses needs its private address")
		case !both:
			bare[family] = true
			seen, records = append(seen, public), append(records, record{{"public", public.String()}})
		default:
			seen = append(seen, public, private)
			records = append(records, record{{"public", public.String()}, {"private", private.String()}})
		}
	}
	if len(records) > 0 {
		t.doc.set("external_ip", records, "")
	}
}

func hostAddr(a netip.Addr) bool {
	return a.Zone() == "" && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLinkLocalUnicast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}
