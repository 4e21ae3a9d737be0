package peerjs

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/netip"

	"icebox/signal"
	"icebox/signal/broker"
	"icebox/signal/rawjson"
)

// session is one connection.
type session struct {
	handler *Handler
	client  *signal.Client
	address
	quoted  []byte // id
	token   [sha256.Size]byte
	resumes bool   // who knows the token may have the id
	refusal []byte // why it can't stay; nil if it can
	waiting load   // of its messages to those who aren't there; absent's
}

// bucket is what limits count its address by.
func (s *session) bucket() netip.Addr { return signal.Bucket(s.client.Visitor().Addr) }

// Open implements websocket.Session. It claims the id, which may take as long as a sign-in does.
func (s *session) Open() {
	if s.refusal == nil {
		err := s.claim()
		if err == nil {
			s.handler.settle(s) // before its client can know
			s.client.Send([]byte(openFrame))
			s.collect()
			return
		}
		if errors.Is(err, signal.ErrRestarting) {
			s.client.End(signal.Restarting) // it may come back, which after an ERROR it would not
			return
		}
		s.refusal = refusal(err)
	}
	s.client.Send(s.refusal)
	s.client.End(signal.Refused)
}

// claim makes the id this connection's.
func (s *session) claim() error {
	if old := s.handler.holder(s.address); old != nil && s.follows(old) && s.client.TakeOver(old.client) {
		old.client.End(signal.Superseded)
		return nil
	}
	return s.client.SignIn(s.id)
}

// refusal says in PeerServer's words why there is no id.
func refusal(err error) []byte {
	var told *signal.Error
	switch {
	case errors.Is(err, signal.ErrNameTaken):
		return notice{Type: "ID-TAKEN", Payload: &says{msgTaken}}.frame()
	case errors.Is(err, signal.ErrNameNotAllowed):
		return failure(msgToken)
	case errors.As(err, &told):
		return failure(told.Message)
	default:
		return failure(signal.ErrUnavailable.Message)
	}
}

// follows reports whether it is the same Peer object as an older connection.
func (s *session) follows(old *session) bool {
	return s.resumes && old.resumes && subtle.ConstantTimeCompare(s.token[:], old.token[:]) == 1
}

// collect forwards what has waited for the client.
func (s *session) collect() {
	select {
	case <-s.client.Done():
		return // it waits for the next one
	default:
	}
	for _, l := range s.handler.absent.take(s.address) {
		err := s.client.Forward(l.from.client.ID(), l.frame)
		switch {
		case errors.Is(err, signal.ErrPeerOffline):
			s.handler.absent.put(s.address, l)
		case err != nil:
			s.handler.hub.Refuse(signal.ErrPeerBusy)
		}
	}
}

// Refuse implements websocket.Session. PeerJS ends on every error, so it is told of those alone that are its end anyhow.
func (s *session) Refuse(e *signal.Error) {
	if e == signal.ErrTooLarge {
		s.client.Send(failure(e.Message))
	}
}

// Text implements websocket.Session.
func (s *session) Text(text []byte) (slow func()) {
	m, ok := decode(text)
	kind, known := rawjson.String(m.kind)
	if !ok || !known {
		s.handler.hub.Refuse(signal.ErrBadMessage)
		return nil
	}
	switch {
	case kind == "HEARTBEAT": // that something came has been noted
	case passes(kind):
		s.pass(kind, m)
	default:
		s.handler.hub.Refuse(signal.ErrUnknownType)
	}
	return nil
}

// pass forwards a message, or keeps it for who isn't there.
func (s *session) pass(kind string, m message) {
	dst, ok := rawjson.String(m.dst)
	if !ok || !signal.ValidName(dst) || len(m.payload) == 0 || m.payload[0] != '{' {
		s.handler.hub.Refuse(signal.ErrBadMessage)
		return
	}
	frame := forwarded(kind, s.quoted, m)
	err := s.client.SendTo(signal.Recipient{Name: dst}, broker.Message{Kind: broker.Note, Label: kind, Payload: frame})
	switch {
	case err == nil:
		return
	case errors.Is(err, signal.ErrPeerOffline):
		to := address{s.space, dst}
		if s.handler.absent.put(to, letter{s, frame}) {
			if there := s.handler.holder(to); there != nil {
				there.collect() // it came meanwhile
			}
			return
		}
	}
	if kind != "CANDIDATE" {
		s.client.Send(expired(dst, s.id))
	}
}

// encode appends a message from another client, which is a whole frame.
func encode(b []byte, m broker.Message) []byte { return append(b, m.Payload...) }
