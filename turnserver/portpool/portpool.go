// Package portpool manages the free UDP ports of one relay address. It does not open sockets. The caller takes a port,
// binds it, and puts it back after use, or if another process has it and the bind fails.
//
// # Order
//
// RFC 8656 section 7.2 recommends relayed ports from 49152 to 65535. They should be hard to guess (RFC 6056), and
// should not be used again for some time. So the free ports are in a queue that starts as a random permutation. Put
// appends a port to the tail. Take draws a random port from the oldest quarter of the queue, so that no client can
// predict the ports of other clients. After Put, a port is not drawn again until three quarters of the free ports have
// been drawn. Take fails only if no port is free, even if all free ports were used recently.
//
// # Pairs
//
// EVEN-PORT (RFC 8656 sections 7.2 and 18.7) requests an even port, and with the R bit the next port too. The pool
// searches some of the oldest ports first, and then all ports. It counts its even ports and pairs, so it does not
// search if there are none.
//
// Take, Put and TakePort run in constant time. A pool has four bytes for each port.
package portpool

import (
	cryptorand "crypto/rand"
	"math/rand/v2"
	"sync"
)

// taken is the place of a port that is not in the queue. Real places are below 65535, because there are at most 65535
// ports.
const taken = 0xffff

// probes is how many of the oldest ports find tries before it searches the whole range.
const probes = 64

// Pool holds the free ports of one relay address. It is safe for concurrent use.
type Pool struct {
	first uint16 // immutable

	mu  sync.Mutex
	rnd *rand.Rand
	// queue is a ring of the free ports, oldest first, starting at head. Ports are stored as offsets from first. place
	// has the index in queue of each offset, so queue[place[i]] == i for free ports.
	queue, place []uint16
	head, free   int
	evens, pairs int // free even ports, and how many of them have a free successor
}

// New returns a pool of the ports from first to last, both included. All of them are free. The pool never contains port
// 0, and it is empty if last is less than first. rnd decides the order. The caller must not use rnd afterwards. If rnd
// is nil, New uses ChaCha8 with a seed from the system.
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

// TakePair takes an even port and its successor. The caller puts each of them back separately.
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

// TakePort takes the given port if it is free, and reports whether it did.
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

// Put makes a port free again. It does nothing and returns false if the port does not belong to the pool or is already
// free.
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

// isFree reports whether the port at offset i is free. i may be outside the range of the pool; then the result is
// false.
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

// draw returns a random position in the oldest quarter of the queue. At least one port is free.
func (p *Pool) draw() int { return p.rnd.IntN((p.free + 3) / 4) }

// find returns the offset of a port for which good returns true. good is isEven or isPair, and there must be such a
// port.
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

// add appends the port at offset i to the queue. The port is not free before.
func (p *Pool) add(i uint16) {
	end := p.at(p.free)
	p.queue[end], p.place[i] = i, uint16(end)
	p.free++
	p.count(int(i), 1)
}

// remove removes the free port at offset i from the queue. The oldest port moves to its place.
func (p *Pool) remove(i uint16) {
	p.count(int(i), -1)
	oldest := p.queue[p.head]
	p.queue[p.place[i]], p.place[oldest] = oldest, p.place[i]
	p.place[i] = taken
	p.head = p.at(1)
	p.free--
}

// count adds n to evens and pairs, as far as the port at offset i belongs to them.
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
