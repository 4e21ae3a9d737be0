package engine

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/pion/stun/v2"
)

// canonicalRequest is a request to Pion before it is encoded.
type canonicalRequest struct {
	method   stun.Method
	lifetime time.Duration // of Allocate and Refresh
	number   uint16        // of ChannelBind
	peers    []netip.AddrPort
}

// write encodes the request into m, without MESSAGE-INTEGRITY.
func (a *canonicalRequest) write(m *stun.Message, nonce []byte) {
	id := binary.BigEndian.Uint64(m.TransactionID[:]) + 1
	m.Reset()
	m.Type = stun.NewType(a.method, stun.ClassRequest)
	binary.BigEndian.PutUint64(m.TransactionID[:], id)
	m.WriteHeader()
	switch a.method {
	case stun.MethodAllocate:
		m.Add(stun.AttrRequestedTransport, []byte{17, 0, 0, 0})
		addLifetime(m, a.lifetime)
	case stun.MethodRefresh:
		addLifetime(m, a.lifetime)
	case stun.MethodChannelBind:
		m.Add(stun.AttrChannelNumber, []byte{byte(a.number >> 8), byte(a.number), 0, 0})
	}
	for _, p := range a.peers {
		addPeer(m, p)
	}
	m.Add(stun.AttrUsername, []byte(username))
	m.Add(stun.AttrRealm, []byte(realm))
	if nonce != nil {
		m.Add(stun.AttrNonce, nonce)
	}
}

func addLifetime(m *stun.Message, d time.Duration) {
	var value [4]byte
	binary.BigEndian.PutUint32(value[:], uint32(d/time.Second))
	m.Add(stun.AttrLifetime, value[:])
}

// addPeer adds XOR-PEER-ADDRESS (RFC 8489 section 14.2).
func addPeer(m *stun.Message, p netip.AddrPort) {
	const family4, family6 = 1, 2
	var value [20]byte
	header := m.Raw[4:20] // cookie and transaction id
	value[1] = family4
	binary.BigEndian.PutUint16(value[2:], p.Port()^binary.BigEndian.Uint16(header))
	ip := value[4:8]
	if p.Addr().Is4() {
		a := p.Addr().As4()
		copy(ip, a[:])
	} else {
		value[1], ip = family6, value[4:]
		a := p.Addr().As16()
		copy(ip, a[:])
	}
	for i := range ip {
		ip[i] ^= header[i]
	}
	m.Add(stun.AttrXORPeerAddress, value[:4+len(ip)])
}
