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

// reservationTime is how long a port stays reserved without being redeemed (RFC 8656 section 7.2).
const reservationTime = 30 * time.Second

// token is the value of a RESERVATION-TOKEN.
type token [8]byte

// reservations are the ports that EVEN-PORT has reserved for a second Allocate. Each counts as an allocation of the user that
// reserved it.
type reservations struct {
	mu      sync.Mutex
	entries map[token]*reservation
}

type reservation struct {
	*heldPort
	owner credential.Identity
	entry *quotaEntry
	timer *time.Timer
}

// heldPort is a reserved port. It is bound, so that no other process gets it: the kernel assigns ports of the usual relay
// range to any socket.
type heldPort struct {
	host *relayHost
	port uint16
	conn *net.UDPConn
}

// bindAndHold binds a port that was taken from the pool of h.
func bindAndHold(h *relayHost, port uint16) (*heldPort, error) {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(h.Local, port)))
	if err != nil {
		return nil, fmt.Errorf("bind a reserved port: %w", err)
	}
	_ = c.SetReadBuffer(1) // the minimum, because nothing reads the socket
	return &heldPort{h, port, c}, nil
}

// unbind closes the socket, so that the port can be bound again.
func (p *heldPort) unbind() { _ = p.conn.Close() } // closing a UDP socket loses nothing

// free returns the port to the pool.
func (p *heldPort) free() {
	p.unbind()
	p.host.pool.Put(p.port)
}

func newReservations() *reservations { return &reservations{entries: make(map[token]*reservation)} }

// add stores a reservation, which ends after reservationTime, and returns its token.
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

// redeem removes and returns the reservation of a token. It returns nil if there is none, or if owner is not its owner.
// The port of a redeemed reservation is neither bound nor in the pool.
func (r *reservations) redeem(t token, owner credential.Identity) *reservation {
	r.mu.Lock()
	res := r.entries[t]
	r.mu.Unlock()
	if res == nil || res.owner.Username != owner.Username || r.remove(t) == nil {
		return nil
	}
	res.timer.Stop()
	res.entry.release()
	res.unbind()
	return res
}

// remove removes and returns a reservation, or returns nil if there is none.
func (r *reservations) remove(t token) *reservation {
	r.mu.Lock()
	defer r.mu.Unlock()
	res := r.entries[t]
	delete(r.entries, t)
	return res
}

// close frees all reserved ports.
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
	r.entry.release()
	r.heldPort.free()
}
