package turnserver

import (
	"net/netip"
	"time"

	"icebox/turnserver/credential"
	"icebox/turnserver/packetio"
	"icebox/turnserver/wire"
)

// request is one STUN request that is being handled.
type request struct {
	from     path
	remote   netip.AddrPort
	packet   *packetio.Packet // contains the request
	msg      wire.Message
	session  *session            // of the 5-tuple, nil if there is none; its mu is held
	identity credential.Identity // of the user who signed the request; set by authenticate
	// addressProven is true if the client has received a nonce at its address, so the address is not forged.
	addressProven bool
	// tooManyFailures is true if the address has failed too often to authenticate as this user.
	tooManyFailures bool
}

// understood reports whether the server understands a comprehension-required attribute.
func understood(t wire.AttrType) bool {
	switch t {
	case wire.AttrUsername, wire.AttrRealm, wire.AttrNonce, wire.AttrMessageIntegrity, wire.AttrMessageIntegritySHA256,
		wire.AttrChannelNumber, wire.AttrLifetime, wire.AttrXORPeerAddress, wire.AttrData, wire.AttrRequestedAddressFamily,
		wire.AttrEvenPort, wire.AttrRequestedTransport, wire.AttrReservationToken, wire.AttrDontFragment:
		return true
	default:
		return false
	}
}

// unknownRequired returns the comprehension-required attributes that the server does not understand, for a 420 (RFC 8489 section
// 6.3.1).
func unknownRequired(m *wire.Message) []wire.AttrType {
	var list []wire.AttrType
	for t := range m.Attributes() {
		if t.Required() && !understood(t) {
			list = append(list, t)
		}
	}
	return list
}

// request handles one request, in the order of RFC 8489 sections 6.3 and 9.2.4 and RFC 8656 sections 5 and 7.2. m is the message in
// p. The steps are:
//
//  1. A retransmission gets the same response again.
//  2. authenticate checks the signature (RFC 8489 section 9.2.4).
//  3. admit makes the checks that all methods have in common.
//  4. The handler of the method does the rest.
//  5. The signed response is stored for retransmissions, and sent.
func (s *Server) request(from path, remote netip.AddrPort, p *packetio.Packet, m *wire.Message) {
	var handle func(*request) *reply
	switch m.Method {
	case wire.Binding:
		s.binding(from, remote, p, m)
		return
	case wire.Allocate:
		handle = s.allocate
	case wire.Refresh:
		handle = s.refresh
	case wire.CreatePermission:
		handle = s.createPermission
	case wire.ChannelBind:
		handle = s.channelBind
	default:
		s.countDrop(DropUnexpected)
		return
	}
	s.requests[m.Method].Inc()
	r := &request{from: from, remote: remote, packet: p, msg: *m}
	if r.session = from.session(remote); r.session != nil {
		r.session.mu.Lock()
		defer r.session.mu.Unlock()
		if raw := r.session.cached(&r.msg); raw != nil {
			s.respond(r, raw)
			return
		}
	} else if raw := s.recentReplies.find(r); raw != nil {
		s.respond(r, raw)
		return
	}
	if code := s.authenticate(r); code != 0 {
		s.challenge(r, code)
		return
	}
	rep := s.admit(r)
	if rep == nil {
		rep = handle(r)
	}
	if rep == nil {
		s.challenge(r, wire.Unauthorized)
		return
	}
	raw := rep.sign(r)
	if r.session != nil {
		r.session.remember(&r.msg, raw)
	}
	ended := r.session != nil && r.session.ended.Load()
	noRoom := r.session == nil && (rep.code == wire.AllocationQuotaReached || rep.code == wire.InsufficientCapacity)
	if ended || noRoom {
		s.recentReplies.add(r, raw)
	}
	s.respond(r, raw)
}

// maxUsername is the longest USERNAME in bytes (RFC 8489 section 14.3: fewer than 509).
const maxUsername = 508

// authenticate runs the long-term credential mechanism (RFC 8489 section 9.2.4). It
// returns 0 with r.identity set, or 401, 400 or 438 for an unsigned challenge.
func (s *Server) authenticate(r *request) wire.Code {
	if !r.msg.HasIntegrity() {
		return wire.Unauthorized
	}
	username, ok := r.msg.Get(wire.AttrUsername)
	realm, hasRealm := r.msg.Get(wire.AttrRealm)
	nonce, hasNonce := r.msg.Get(wire.AttrNonce)
	if !ok || !hasRealm || !hasNonce || len(username) > maxUsername {
		return wire.BadRequest
	}
	now := s.clock()
	if !s.nonces.valid(nonce, r.remote.Addr(), now) {
		return wire.StaleNonce
	}
	r.addressProven = true
	if string(realm) != s.opts.Realm {
		return wire.Unauthorized
	}
	// A live session keeps its key, even if the secret has been removed since.
	if r.session != nil && string(username) == r.session.identity.Username {
		r.identity = r.session.identity
		if !r.msg.CheckIntegrity(r.identity.Key) {
			return wire.Unauthorized
		}
		return 0
	}
	if !s.authFailures.Allow(r.remote.Addr(), username, s.now()) {
		r.tooManyFailures = true
		return wire.Unauthorized
	}
	id, err := s.limits.Load().Credentials.Verify(string(username), now, r.msg.CheckIntegrity)
	if err != nil {
		s.authFailures.Count(r.remote.Addr(), username, s.now())
		return wire.Unauthorized
	}
	r.identity = id
	return 0
}

// An allocation stops accepting requests expiryMargin nanoseconds before it expires, so that no request coincides with
// Pion's timer.
const expiryMargin = int64(time.Second)

// admit makes the checks that all methods have in common. It returns nil if the method may be handled.
func (s *Server) admit(r *request) *reply {
	if list := unknownRequired(&r.msg); list != nil {
		return unknownAttributes(list)
	}
	if r.msg.Method == wire.Allocate {
		if r.session != nil {
			return errorReply(wire.AllocationMismatch)
		}
		return nil
	}
	if r.session == nil || !r.session.live(s.now()+expiryMargin) {
		return errorReply(wire.AllocationMismatch)
	}
	if r.identity.Username != r.session.identity.Username {
		return errorReply(wire.WrongCredentials)
	}
	return nil
}

// challenge responds to a request that did not authenticate. The response is unsigned and has a new nonce. It is short, because the
// source address may be forged.
func (s *Server) challenge(r *request, code wire.Code) {
	if r.tooManyFailures {
		s.countDrop(DropReplyRate)
		return
	}
	if !s.mayReply(r.from, r.remote, r.addressProven) {
		return
	}
	rep := &reply{code: code}
	switch elsewhere := s.redirectUnsigned(r); {
	case elsewhere != nil:
		rep = elsewhere
	case code != wire.BadRequest:
		nonce := s.nonces.make(r.remote.Addr(), s.clock())
		rep.attributes = func(b *wire.Builder) {
			b.Text(wire.AttrRealm, s.opts.Realm).Text(wire.AttrNonce, nonce)
		}
	}
	rep.terse = true
	s.respond(r, rep.unsigned(r))
}

// redirectUnsigned calls redirect for an unsigned Allocate without a session. It returns nil for any other request. A
// client that is built on libwebrtc and has a nonce of this server uses that nonce at the alternate server too. The
// alternate server refuses the nonce, and the client gives up. So the client must be redirected before it gets a nonce
// here.
func (s *Server) redirectUnsigned(r *request) *reply {
	if r.msg.Method != wire.Allocate || r.msg.HasIntegrity() || r.session != nil {
		return nil
	}
	return s.redirect(r)
}

// mayReply reports whether a reply may be sent to remote. If the address may be forged, it takes a token for the reply.
// shown is true if the client has received a nonce at the address, so it is not forged. On TCP, TLS and DTLS the
// handshake has proven the address.
func (s *Server) mayReply(from path, remote netip.AddrPort, shown bool) bool {
	if shown || from.transport() != UDP || s.allowReply(remote.Addr()) {
		return true
	}
	s.countDrop(DropReplyRate)
	return false
}

// allowReply takes a token for a reply to an address that may be forged.
func (s *Server) allowReply(a netip.Addr) bool {
	l := s.limits.Load()
	return s.replies.Allow(a, s.now(), l.RepliesPerPrefix, l.Replies)
}
