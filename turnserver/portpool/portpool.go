// Package portpool hands out the UDP ports of one relay address. It opens no
// socket: the caller binds the port and gives it back, also when binding fails
// because another process has it.
//
// # Order
//
// RFC 8656 section 7.2 wants relayed ports from 49152-65535, hard to guess (RFC
// 6056) and not used again for some time. So the free ports are a queue that
// begins as a random permutation; a port that is given back goes to the tail,
// and a port is drawn at random from the oldest quarter of the queue, so that
// no client can predict the ports of others. A port rests until three quarters of
// the free ports have been drawn. None is refused because it is recent: Take fails
// only if no port is free.
//
// # Pairs
//
// EVEN-PORT (RFC 8656 sections 7.2 and 18.7) wants an even port, with the R bit
// also its successor. Those are looked for among some of the oldest ports, then
// everywhere; if there are none, a count says so at once.
//
// Take, Put and TakePort take constant time. A pool has four bytes for each port.
package portpool

import (
	cryptorand "crypto/rand"
	"math/rand/v2"
	"sync"
)

// taken is the place of a port that isn't in the queue. Places are below 65535
// since there are at most 65535 ports.
const taken = 0xffff

// probes is how many of the oldest ports are tried for an even one or a pair,
// before the search goes through the range.
const probes = 64

// Pool is the ports of one relay address. It is safe for concurrent use.
type Pool struct {
	first uint16 // immutable

	mu  sync.Mutex
	rnd *rand.Rand
	// queue is a ring: free ports, oldest first, from head on. Both slices hold
	// and are indexed by offsets from first; queue[place[i]] == i for free ports.
	queue, place []uint16
	head, free   int
	evens, pairs int // free even ports, and those whose successor is free too
}

// New returns a pool of the ports from first to last, both included, all free.
// Port 0 is never among them; there are none at all if last is below first. rnd
// decides the order and is used by the pool alone; nil means ChaCha8 with a seed
// from the system.
func New(first, last uint16, rnd rand.Source) *Pool {
	if rnd == nil {
		var seed [32]byte
		cryptorand.Read(seed[:]) // never fails
		rnd = rand.NewChaCha8(seed)
	}
	first = max(first, 1)
	size := max(int(last)-int(first)+1, 0)
	p := &Pool{
		first: first,
		rnd:   rand.New(rnd),
		queue: make([]uint16, size),
		place: make([]uint16, size),
	}
	for i := range p.place {
		p.place[i] = taken
	}
	for _, i := range p.rnd.Perm(size) {
		p.add(uint16(i))
	}
	return p
}

// Free returns how many ports can be taken.
func (p *Pool) Free() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.free
}

// Take takes any port. It fails only if none is free.
func (p *Pool) Take() (port uint16, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free == 0 {
		return 0, false
	}
	i := p.queue[p.at(p.draw())]
	p.remove(i)
	return p.first + i, true
}

// TakeEven takes any even port.
func (p *Pool) TakeEven() (port uint16, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.evens == 0 {
		return 0, false
	}
	i := p.find(p.isEven)
	p.remove(i)
	return p.first + i, true
}

// TakePair takes an even port and its successor. Each is given back by itself.
func (p *Pool) TakePair() (even uint16, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pairs == 0 {
		return 0, false
	}
	i := p.find(p.isPair)
	p.remove(i)
	p.remove(i + 1)
	return p.first + i, true
}

// TakePort takes that port, if it is free.
func (p *Pool) TakePort(port uint16) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, ok := p.offset(port)
	if !ok || !p.isFree(i) {
		return false
	}
	p.remove(uint16(i))
	return true
}

// Put gives a port back. It does nothing and returns false if the port isn't one
// of the pool's or is free already.
func (p *Pool) Put(port uint16) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, ok := p.offset(port)
	if !ok || p.isFree(i) {
		return false
	}
	p.add(uint16(i))
	return true
}

func (p *Pool) offset(port uint16) (i int, ok bool) {
	i = int(port) - int(p.first)
	return i, i >= 0 && i < len(p.place)
}

// isFree takes an int so that neighbours outside the range may be asked about.
func (p *Pool) isFree(i int) bool { return i >= 0 && i < len(p.place) && p.place[i] != taken }

func (p *Pool) even(i int) bool { return (int(p.first)+i)%2 == 0 }

func (p *Pool) isEven(i int) bool { return p.even(i) && p.isFree(i) }

func (p *Pool) isPair(i int) bool { return p.isEven(i) && p.isFree(i+1) }

// at returns the index in the ring of the n-th oldest free port.
func (p *Pool) at(n int) int {
	if n += p.head; n >= len(p.queue) {
		n -= len(p.queue)
	}
	return n
}

// draw returns a random n in the oldest quarter. At least one port is free.
func (p *Pool) draw() int { return p.rnd.IntN((p.free + 3) / 4) }

// find returns a free even port for which good holds; there must be one.
func (p *Pool) find(good func(i int) bool) uint16 {
	start := p.draw()
	for n := start; n < min(start+probes, p.free); n++ {
		if i := p.queue[p.at(n)]; good(int(i)) {
			return i
		}
	}
	i := int(p.queue[p.at(start)])
	if !p.even(i) {
		i--
	}
	for !good(i) {
		if i += 2; i >= len(p.place) {
			i = int(p.first % 2)
		}
	}
	return uint16(i)
}

// add appends a port that isn't free to the queue.
func (p *Pool) add(i uint16) {
	end := p.at(p.free)
	p.queue[end], p.place[i] = i, uint16(end)
	p.free++
	p.count(int(i), 1)
}

// remove takes a free port out of the queue. The oldest one gets its place.
func (p *Pool) remove(i uint16) {
	p.count(int(i), -1)
	oldest := p.queue[p.head]
	p.queue[p.place[i]], p.place[oldest] = oldest, p.place[i]
	p.place[i] = taken
	p.head = p.at(1)
	p.free--
}

// count adds n to the numbers that a free port i is counted in.
func (p *Pool) count(i, n int) {
	if !p.even(i) {
		i--
	} else {
		p.evens += n
	}
	if p.isPair(i) {
		p.pairs += n
	}
}
