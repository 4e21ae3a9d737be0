package signal

import "icebox/signal/broker"

// maxPairs is how many correspondents a client has at once where its protocol doesn't say.
const maxPairs = 32

// pair is another client that has exchanged an offer with this one.
type pair struct {
	name  string // when the offer passed
	addr  broker.Addr
	spoke bool // this client has sent it an offer or an answer
}

// pairs are in order of their latest offer.
type pairs []pair

// addPair adds a pair or makes it the latest, unless there are to be none. When there are too many, the oldest that this client never spoke
// to makes room, so that strangers' offers can't push out a call.
func (p *pairs) addPair(n pair, most int) {
	if most < 0 {
		return
	}
	if i := p.indexOf(n.addr); i >= 0 {
		n.spoke = n.spoke || (*p)[i].spoke
		p.removeAt(i)
	}
	if len(*p) >= most {
		p.removeAt(p.evictionIndex())
	}
	*p = append(*p, n)
}

func (p pairs) evictionIndex() int {
	for i, old := range p {
		if !old.spoke {
			return i
		}
	}
	return 0
}

// endPair ends a pair and reports whether there was one, and whether it was the latest.
func (p *pairs) endPair(a broker.Addr) (was, latest bool) {
	i := p.indexOf(a)
	if i < 0 {
		return false, false
	}
	latest = i == len(*p)-1
	p.removeAt(i)
	return true, latest
}

func (p *pairs) removeAt(i int) {
	old := *p
	copy(old[i:], old[i+1:])
	old[len(old)-1] = pair{}
	*p = old[:len(old)-1]
}

func (p pairs) indexOf(a broker.Addr) int {
	for i := range p {
		if p[i].addr == a {
			return i
		}
	}
	return -1
}

// latestNamed returns the latest pair with a client of that name.
func (p pairs) latestNamed(name string) (*pair, bool) {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i].name == name {
			return &p[i], true
		}
	}
	return nil, false
}
