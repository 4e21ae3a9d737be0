package turnserver

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"icebox/turnserver/wire"
)

// situation is the state of a client before the request under test.
type situation int

const (
	loggedIn  situation = iota // it has a nonce
	allocated                  // and an allocation, with IPv4 only
)

var (
	elsewhere4 = netip.MustParseAddrPort("127.0.0.5:9")
	elsewhere6 = netip.MustParseAddrPort("[2001:db8:ffff::1]:9")
	forbidden4 = netip.MustParseAddrPort("169.254.169.254:80")
)

// attrs writes the attributes of a request.
type attrs func(*wire.Builder)

func with(list ...attrs) attrs {
	return func(b *wire.Builder) {
		for _, a := range list {
			a(b)
		}
	}
}

func attr(typ wire.AttrType, value ...byte) attrs {
	return func(b *wire.Builder) { b.Attribute(typ, value) }
}

func peers(list ...netip.AddrPort) attrs {
	return func(b *wire.Builder) {
		for _, p := range list {
			b.XORAddress(wire.AttrXORPeerAddress, p)
		}
	}
}

func family(f byte) attrs   { return attr(wire.AttrRequestedAddressFamily, f, 0, 0, 0) }
func protocol(p byte) attrs { return attr(wire.AttrRequestedTransport, p, 0, 0, 0) }
func number(n uint16) attrs { return attr(wire.AttrChannelNumber, byte(n>>8), byte(n), 0, 0) }
func alien() attrs          { return attr(0x7001, 1, 2, 3) }

// These are all errors that an authenticated request can get, in the order in which the server checks for them (RFC 8489 sections 6.3 and
// 9.2.4, RFC 8656 sections 5, 7.2, 8.2, 10.2 and 12.2). Each response must be signed with the client's key, must not name the software,
// and must have FINGERPRINT if the request had it.
func TestAdmission(t *testing.T) {
	tests := map[string]struct {
		state  situation
		method wire.Method
		attrs  attrs
		want   wire.Code
	}{
		"allocate": {loggedIn, wire.Allocate, protocol(17), 0},
		"allocate, attributes that nobody must understand": {loggedIn, wire.Allocate, with(protocol(17), attr(0x8777, 1), attr(wire.AttrSoftware, 'x')), 0},
		"allocate without transport":                       {loggedIn, wire.Allocate, nil, wire.BadRequest},
		"allocate, short transport":                        {loggedIn, wire.Allocate, attr(wire.AttrRequestedTransport, 17, 0, 0), wire.BadRequest},
		"allocate TCP":                                     {loggedIn, wire.Allocate, protocol(6), wire.UnsupportedTransport},
		"442 before 440":                                   {loggedIn, wire.Allocate, with(protocol(6), family(2)), wire.UnsupportedTransport},
		"allocate IPv6 on an IPv4 server":                  {loggedIn, wire.Allocate, with(protocol(17), family(2)), wire.FamilyNotSupported},
		"allocate, family of nobody":                       {loggedIn, wire.Allocate, with(protocol(17), family(3)), wire.FamilyNotSupported},
		"allocate, short family":                           {loggedIn, wire.Allocate, with(protocol(17), attr(wire.AttrRequestedAddressFamily, 1)), wire.BadRequest},
		"allocate, two kinds of family":                    {loggedIn, wire.Allocate, with(protocol(17), family(1), attr(wire.AttrAdditionalAddressFamily, 2, 0, 0, 0)), wire.BadRequest},
		"allocate, additional IPv4":                        {loggedIn, wire.Allocate, with(protocol(17), attr(wire.AttrAdditionalAddressFamily, 1, 0, 0, 0)), wire.BadRequest},
		"allocate, token and even port":                    {loggedIn, wire.Allocate, with(protocol(17), attr(wire.AttrReservationToken, 1, 2, 3, 4, 5, 6, 7, 8), attr(wire.AttrEvenPort, 0)), wire.BadRequest},
		"allocate, token and family":                       {loggedIn, wire.Allocate, with(protocol(17), attr(wire.AttrReservationToken, 1, 2, 3, 4, 5, 6, 7, 8), family(1)), wire.BadRequest},
		"allocate, short token":                            {loggedIn, wire.Allocate, with(protocol(17), attr(wire.AttrReservationToken, 1)), wire.BadRequest},
		"allocate, token of nobody":                        {loggedIn, wire.Allocate, with(protocol(17), attr(wire.AttrReservationToken, 1, 2, 3, 4, 5, 6, 7, 8)), wire.InsufficientCapacity},
		"allocate, short lifetime":                         {loggedIn, wire.Allocate, with(protocol(17), attr(wire.AttrLifetime, 1, 2)), wire.BadRequest},
		"allocate, unknown attribute":                      {loggedIn, wire.Allocate, with(protocol(17), alien()), wire.UnknownAttribute},
		"allocate again":                                   {allocated, wire.Allocate, protocol(17), wire.AllocationMismatch},
		"437 before 442":                                   {allocated, wire.Allocate, protocol(6), wire.AllocationMismatch},
		"420 before 437":                                   {loggedIn, wire.Refresh, alien(), wire.UnknownAttribute},

		"refresh without allocation": {loggedIn, wire.Refresh, nil, wire.AllocationMismatch},
		"release without allocation": {loggedIn, wire.Refresh, attr(wire.AttrLifetime, 0, 0, 0, 0), wire.AllocationMismatch},
		"refresh":                    {allocated, wire.Refresh, family(1), 0},
		"refresh, other family":      {allocated, wire.Refresh, family(2), wire.PeerFamilyMismatch},
		"refresh, short family":      {allocated, wire.Refresh, attr(wire.AttrRequestedAddressFamily, 1), wire.BadRequest},
		"refresh, long lifetime":     {allocated, wire.Refresh, attr(wire.AttrLifetime, 0, 0, 0, 0, 0), wire.BadRequest},

		"permission without allocation":      {loggedIn, wire.CreatePermission, peers(elsewhere4), wire.AllocationMismatch},
		"permission":                         {allocated, wire.CreatePermission, peers(elsewhere4, elsewhere4), 0},
		"permission for nobody":              {allocated, wire.CreatePermission, nil, wire.BadRequest},
		"permission, half a peer":            {allocated, wire.CreatePermission, attr(wire.AttrXORPeerAddress, 0, 1, 2, 3), wire.BadRequest},
		"permission, second peer malformed":  {allocated, wire.CreatePermission, with(peers(elsewhere4), attr(wire.AttrXORPeerAddress, 0, 1, 2, 3)), wire.BadRequest},
		"permission, peer with wrong length": {allocated, wire.CreatePermission, attr(wire.AttrXORPeerAddress, 0, 2, 1, 1, 1, 1, 1, 1), wire.BadRequest},
		"permission, other family":           {allocated, wire.CreatePermission, peers(elsewhere6), wire.PeerFamilyMismatch},
		"permission, forbidden":              {allocated, wire.CreatePermission, peers(forbidden4), wire.Forbidden},
		"permission, unknown attribute":      {allocated, wire.CreatePermission, with(peers(elsewhere4), alien()), wire.UnknownAttribute},

		"bind without allocation":   {loggedIn, wire.ChannelBind, with(number(0x4000), peers(elsewhere4)), wire.AllocationMismatch},
		"bind":                      {allocated, wire.ChannelBind, with(number(0x4FFF), peers(elsewhere4)), 0},
		"bind without number":       {allocated, wire.ChannelBind, peers(elsewhere4), wire.BadRequest},
		"bind, short number":        {allocated, wire.ChannelBind, with(attr(wire.AttrChannelNumber, 0x40, 0), peers(elsewhere4)), wire.BadRequest},
		"bind without peer":         {allocated, wire.ChannelBind, number(0x4000), wire.BadRequest},
		"bind, half a peer":         {allocated, wire.ChannelBind, with(number(0x4000), attr(wire.AttrXORPeerAddress, 0, 1, 2, 3)), wire.BadRequest},
		"bind 0x0000":               {allocated, wire.ChannelBind, with(number(0), peers(elsewhere4)), wire.BadRequest},
		"bind 0x3FFF":               {allocated, wire.ChannelBind, with(number(0x3FFF), peers(elsewhere4)), wire.BadRequest},
		"bind 0x8000":               {allocated, wire.ChannelBind, with(number(0x8000), peers(elsewhere4)), wire.BadRequest},
		"bind 0xFFFF":               {allocated, wire.ChannelBind, with(number(0xFFFF), peers(elsewhere4)), wire.BadRequest},
		"bind, other family":        {allocated, wire.ChannelBind, with(number(0x4000), peers(elsewhere6)), wire.PeerFamilyMismatch},
		"bind, forbidden":           {allocated, wire.ChannelBind, with(number(0x4000), peers(forbidden4)), wire.Forbidden},
		"bind, own other port":      {allocated, wire.ChannelBind, with(number(0x4000), peers(netip.AddrPortFrom(own4, 22))), wire.Forbidden},
		"bind, unknown attribute":   {allocated, wire.ChannelBind, alien(), wire.UnknownAttribute},
		"bind, 400 before 443, 403": {allocated, wire.ChannelBind, with(number(0x8000), peers(elsewhere6)), wire.BadRequest},
	}
	ts := serve(t, relayApart)
	for name, tt := range tests {
		for _, fingerprint := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				c := ts.dial(t, "udp4")
				c.fingerprint = fingerprint
				if tt.state == allocated {
					c.allocate(0)
				} else {
					c.login()
				}
				m := c.do(tt.method, tt.attrs)
				c.must(m, tt.want)
				c.wellMade(m, tt.method)
				ts.End(func(*SessionInfo) bool { return true })
			})
		}
	}
}

// wellMade asserts the properties that all responses to authenticated requests have in common.
func (c *client) wellMade(m *wire.Message, method wire.Method) {
	c.t.Helper()
	if m.Method != method {
		c.t.Errorf("method %v, want %v", m.Method, method)
	}
	if !m.CheckIntegrity(c.key()) {
		c.t.Error("the answer is not signed with the requester's key")
	}
	if m.Fingerprint != c.fingerprint {
		c.t.Errorf("FINGERPRINT %v, asked for %v", m.Fingerprint, c.fingerprint)
	}
	if v, ok := m.Get(wire.AttrSoftware); ok {
		c.t.Errorf("SOFTWARE %q", v)
	}
	if v, ok := m.Get(wire.AttrErrorCode); ok != (m.Class == wire.Error) || ok && len(v) <= 4 {
		c.t.Errorf("ERROR-CODE %q in a message of class %d", v, m.Class)
	}
}

// Every transport protocol except UDP gets 442.
func TestRequestedTransport(t *testing.T) {
	ts := serve(t, relayApart)
	c := ts.dial(t, "tcp4")
	c.login()
	for p := range 256 {
		if p != transportUDP {
			c.must(c.do(wire.Allocate, protocol(byte(p))), wire.UnsupportedTransport)
		}
	}
	if n := len(ts.Sessions()); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

// UNKNOWN-ATTRIBUTES has two bytes for each type. The test decodes them itself.
func TestUnknownAttributes(t *testing.T) {
	ts := serve(t, relayApart)
	c := ts.dial(t, "udp4")
	signed := ts.dial(t, "udp4")
	signed.login()
	unknown := with(attr(0x7001, 9), attr(0x8777, 9), attr(0x0042), attr(0x7FFF, 1, 2, 3, 4, 5))
	for name, m := range map[string]*wire.Message{
		"binding":  c.do(wire.Binding, unknown),
		"allocate": signed.do(wire.Allocate, with(protocol(17), unknown)),
	} {
		v, ok := m.Get(wire.AttrUnknownAttributes)
		if code(m) != 420 || !ok || !bytes.Equal(v, []byte{0x70, 0x01, 0x00, 0x42, 0x7F, 0xFF}) {
			t.Errorf("%s: %d, UNKNOWN-ATTRIBUTES %x", name, code(m), v)
		}
	}
}

// A request with a forged source address makes the server send at most 1.5 times its size for Binding, and 2.2 times for a challenge,
// including the IP and UDP headers.
func TestAmplification(t *testing.T) {
	ts := serve(t, func(o *Options, l *Limits) {
		relayApart(o, l)
		o.Realm = "sixteen.bytes.xy"
	})
	for transport, headers := range map[string]int{"udp4": 20 + 8, "udp6": 40 + 8} {
		for name, tt := range map[string]struct {
			method wire.Method
			attrs  attrs
			most   float64
		}{
			"binding":        {wire.Binding, nil, 1.5},
			"binding 420":    {wire.Binding, attr(0x7001), 1.5},
			"bare allocate":  {wire.Allocate, nil, 2.2},
			"allocate":       {wire.Allocate, protocol(17), 2.2},
			"integrity only": {wire.Refresh, func(b *wire.Builder) { b.Integrity(nil) }, 1.5},
			"nonce of long ago": {wire.Refresh, func(b *wire.Builder) {
				b.Text(wire.AttrUsername, "u").Text(wire.AttrRealm, "r").Text(wire.AttrNonce, "n").Integrity(nil)
			}, 2.2},
			"channel bind, bare": {wire.ChannelBind, nil, 2.2},
		} {
			for _, fingerprint := range []bool{false, true} {
				c := ts.dial(t, transport)
				c.fingerprint = fingerprint
				request := c.message(tt.method, tt.attrs)
				c.write(request)
				answer := c.read()
				factor := float64(len(answer)+headers) / float64(len(request)+headers)
				if factor > tt.most {
					t.Errorf("%s over %s, fingerprint %v: %d bytes for %d, factor %.2f", name, transport, fingerprint, len(answer), len(request), factor)
				}
				if want := fingerprint; binary.BigEndian.Uint16(answer[len(answer)-8:]) == uint16(wire.AttrFingerprint) != want {
					t.Errorf("%s: FINGERPRINT where it was not asked for, or none", name)
				}
			}
		}
	}
}
