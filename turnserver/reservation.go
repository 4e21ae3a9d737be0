package turnserver

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"icebox/turnserver/credential"
)

// reservationTime is how long a reserved port waits for its Allocate (RFC 8656 section 7.2).
const reservationTime = 30 * time.Second

// token is the value of a RESERVATION-TOKEN.
type token [8]byte

// reservations are the ports held back by EVEN-PORT for a second Allocate. Each
// counts as an allocation of the user that made it.
type reservations struct {
	mu      sync.Mutex
	entries map[token]*reservation
}

type reservation struct {
	*heldPort
	owner credential.Identity
	slot  *slot
	timer *time.Timer
}

// heldPort is a port that is neither free nor a relay's. It is bound, so that no other
// process gets it: the kernel gives ports of the usual relay range to anybody.
type heldPort struct {
	host *relayHost
	port uint16
	conn *net.UDPConn
}

// hold binds a port that was taken from the pool of h.
func hold(h *relayHost, port uint16) (*heldPort, error) {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(h.Local, port)))
	if err != nil {
		return nil, fmt.Errorf("hold a port: %w", err)
	}
	_ = c.SetReadBuffer(1) // the least there is: nobody reads what comes
	return &heldPort{h, port, c}, nil
}

// unbind lets the port be bound again.
func (p *heldPort) unbind() { _ = p.conn.Close() } // a UDP socket has nothing left to lose

// free gives the port back to the pool.
func (p *heldPort) free() {
	p.unbind()
	p.host.pool.Put(p.port)
}

func newReservations() *reservations { return &reservations{entries: make(map[token]*reservation)} }

// add holds port back for owner.
func (r *reservations) add(res *reservation) token {
	var t token
	_, _ = rand.Read(t[:]) // never fails
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries[t] = res
	res.timer = time.AfterFunc(reservationTime, func() {
		if r.remove(t) != nil {
			res.free()
		}
	})
	return t
}

// redeem returns the reservation of a token to its owner, once.
func (r *reservations) redeem(t token, owner credential.Identity) *reservation {
	r.mu.Lock()
	res := r.entries[t]
	r.mu.Unlock()
	if res == nil || res.owner.Username != owner.Username || r.remove(t) == nil {
		return nil
	}
	res.timer.Stop()
	res.slot.release()
	res.unbind()
	return res
}

// remove takes an entry out; nil if it is gone already.
func (r *reservations) remove(t token) *reservation {
	r.mu.Lock()
	defer r.mu.Unlock()
	res := r.entries[t]
	delete(r.entries, t)
	return res
}

// close frees what is left.
func (r *reservations) close() {
	r.mu.Lock()
	entries := r.entries
	r.entries = make(map[token]*reservation)
	r.mu.Unlock()
	for _, res := range entries {
		res.timer.Stop()
		res.free()
	}
}

func (r *reservation) free() {
	r.slot.release()
	r.heldPort.free()
}
