package turnserver

import (
	"icebox/turnserver/wire"
)

// reply is the answer to a request before it has become bytes.
type reply struct {
	code       wire.Code // 0: success
	terse      bool      // without the reason phrase
	attributes func(*wire.Builder)
}

func succeed() *reply { return &reply{} }

func fail(code wire.Code) *reply { return &reply{code: code} }

func unknownAttributes(list []wire.AttrType) *reply {
	return &reply{code: wire.UnknownAttribute, attributes: func(b *wire.Builder) { b.UnknownAttributes(list) }}
}

func (p *reply) build(r *request) *wire.Builder {
	class := wire.Success
	if p.code != 0 {
		class = wire.Error
	}
	b := wire.NewBuilder(make([]byte, 0, 160), r.msg.Method, class, r.msg.TransactionID)
	if p.code != 0 {
		reason := p.code.Reason()
		if p.terse {
			reason = ""
		}
		b.ErrorCode(p.code, reason)
	}
	if p.attributes != nil {
		p.attributes(b)
	}
	return b
}

// sign returns the answer to an authenticated request, under the requester's key (RFC 8489 section 9.2.4).
func (p *reply) sign(r *request) []byte {
	return p.finish(r, p.build(r).Integrity(r.identity.Key))
}

// plain returns an answer without MESSAGE-INTEGRITY.
func (p *reply) plain(r *request) []byte { return p.finish(r, p.build(r)) }

// finish adds FINGERPRINT where the request had it (RFC 8489 section 7.3).
func (p *reply) finish(r *request, b *wire.Builder) []byte {
	if r.msg.Fingerprint {
		b.Fingerprint()
	}
	return b.Bytes()
}

// write sends an answer to where its request came from, and counts it.
func (s *Server) write(r *request, raw []byte) {
	if code, ok := errorCode(raw); ok {
		s.errors[code].Inc()
	}
	r.from.send(r.remote, r.packet.Reply(raw))
}

// errorCode finds the code in one of our own answers, where ERROR-CODE comes first.
func errorCode(raw []byte) (wire.Code, bool) {
	const at = wire.HeaderSize
	if raw[0]&1 == 0 || raw[1]&0x10 == 0 || len(raw) < at+8 {
		return 0, false
	}
	return wire.Code(int(raw[at+6])*100 + int(raw[at+7])), true
}
