package signal

import "icebox/signal/broker"

// maxPairs is the number of pairs that a client may have if its [Profile] does not set one.
const maxPairs = 32

// pair is another client with which this one has exchanged an offer or a note.
type pair struct {
	name  string // of the other client, when the offer passed
	addr  broker.Addr
	spoke bool // this client has sent the other one an offer, a note or an answer
}

// pairs are sorted by the time of their latest offer or note, oldest first.
type pairs []pair

// addPair adds n as the latest pair. At most `most` pairs are kept: if there are that many already, addPair drops the
// oldest one in which this client never spoke, so that offers from unknown clients cannot displace a call. It does nothing
// if most is negative.
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

// endPair removes the pair with a. It reports whether that pair existed, and whether it was the latest one.
func (p *pairs) endPair(a broker.Addr) (existed, latest bool) {
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

// indexOf returns the index of the pair with a, or -1.
func (p pairs) indexOf(a broker.Addr) int {
	for i := range p {
		if p[i].addr == a {
			return i
		}
	}
	return -1
}

// latestNamed returns the latest pair with a client of the given name.
func (p pairs) latestNamed(name string) (*pair, bool) {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i].name == name {
			return &p[i], true
		}
	}
	return nil, false
}
