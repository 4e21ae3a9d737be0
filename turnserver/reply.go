package turnserver

import (
	"icebox/turnserver/wire"
)

// reply is the response to a request before it is encoded.
type reply struct {
	code       wire.Code // 0: success
	terse      bool      // without the reason phrase
	attributes func(*wire.Builder)
}

func successReply() *reply { return &reply{} }

func errorReply(code wire.Code) *reply { return &reply{code: code} }

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

// sign returns the encoded response with MESSAGE-INTEGRITY under the client's key (RFC 8489 section 9.2.4).
func (p *reply) sign(r *request) []byte {
	return p.finish(r, p.build(r).Integrity(r.identity.Key))
}

// unsigned returns the encoded response without MESSAGE-INTEGRITY.
func (p *reply) unsigned(r *request) []byte { return p.finish(r, p.build(r)) }

// finish adds FINGERPRINT if the request had it (RFC 8489 section 7.3).
func (p *reply) finish(r *request, b *wire.Builder) []byte {
	if r.msg.Fingerprint {
		b.Fingerprint()
	}
	return b.Bytes()
}

// respond sends a response to the source of its request and counts the error code.
func (s *Server) respond(r *request, raw []byte) {
	if code, ok := errorCode(raw); ok {
		s.errors[code].Inc()
	}
	r.from.send(r.remote, r.packet.Reply(raw))
}

// errorCode returns the code of one of our own error responses, in which ERROR-CODE is the first attribute.
func errorCode(raw []byte) (wire.Code, bool) {
	const at = wire.HeaderSize
	if raw[0]&1 == 0 || raw[1]&0x10 == 0 || len(raw) < at+8 {
		return 0, false
	}
	return wire.Code(int(raw[at+6])*100 + int(raw[at+7])), true
}
