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

// peer is one connection.
type peer struct {
	handler *Handler
	client  *signal.Client
	address
	quoted  []byte // id
	token   [sha256.Size]byte
	resumes bool   // who knows the token may have the id
	refusal []byte // why it can't stay; nil if it can
	waiting usage  // of its messages to those who aren't there; guarded by the offlineStore
}

// addrKey is what limits count its address by.
func (p *peer) addrKey() netip.Addr { return signal.AddrKey(p.client.Visitor().Addr) }

// Open implements websocket.Session. It claims the id, which may take as long as a sign-in does.
func (p *peer) Open() {
	if p.refusal == nil {
		err := p.claim()
		if err == nil {
			p.handler.register(p) // before its client can know
			p.client.Send([]byte(openFrame))
			p.deliverWaiting()
			return
		}
		if errors.Is(err, signal.ErrRestarting) {
			p.client.End(signal.Restarting) // it may come back, which after an ERROR it would not
			return
		}
		p.refusal = refusal(err)
	}
	p.client.Send(p.refusal)
	p.client.End(signal.Refused)
}

// claim makes the id this connection's.
func (p *peer) claim() error {
	if old := p.handler.peerAt(p.address); old != nil && p.isSameClient(old) && p.client.TakeOver(old.client) {
		old.client.End(signal.Superseded)
		return nil
	}
	return p.client.SignIn(p.id)
}

// refusal says in PeerServer's words why there is no id.
func refusal(err error) []byte {
	var told *signal.Error
	switch {
	case errors.Is(err, signal.ErrNameTaken):
		return notice{Type: "ID-TAKEN", Payload: &noticePayload{msgTaken}}.frame()
	case errors.Is(err, signal.ErrNameNotAllowed):
		return failure(msgToken)
	case errors.As(err, &told):
		return failure(told.Message)
	default:
		return failure(signal.ErrUnavailable.Message)
	}
}

// isSameClient reports whether it is the same Peer object as an older connection.
func (p *peer) isSameClient(old *peer) bool {
	return p.resumes && old.resumes && subtle.ConstantTimeCompare(p.token[:], old.token[:]) == 1
}

// deliverWaiting forwards what has waited for the client.
func (p *peer) deliverWaiting() {
	select {
	case <-p.client.Done():
		return // it waits for the next one
	default:
	}
	for _, l := range p.handler.offline.takeMessages(p.address) {
		err := p.client.Forward(l.from.client.ID(), l.frame)
		switch {
		case errors.Is(err, signal.ErrPeerOffline):
			p.handler.offline.addMessage(p.address, l)
		case err != nil:
			p.handler.hub.CountRefusal(signal.ErrPeerBusy)
		}
	}
}

// SendError implements websocket.Session. PeerJS ends on every error, so it is told of those alone that are its end anyhow.
func (p *peer) SendError(e *signal.Error) {
	if e == signal.ErrTooLarge {
		p.client.Send(failure(e.Message))
	}
}

// HandleText implements websocket.Session.
func (p *peer) HandleText(text []byte) (slow func()) {
	m, ok := decode(text)
	kind, known := rawjson.String(m.kind)
	if !ok || !known {
		p.handler.hub.CountRefusal(signal.ErrBadMessage)
		return nil
	}
	switch {
	case kind == "HEARTBEAT": // that something came has been noted
	case isForwarded(kind):
		p.forward(kind, m)
	default:
		p.handler.hub.CountRefusal(signal.ErrUnknownType)
	}
	return nil
}

// forward forwards a message, or keeps it for who isn't there.
func (p *peer) forward(kind string, m message) {
	dst, ok := rawjson.String(m.dst)
	if !ok || !signal.ValidName(dst) || len(m.payload) == 0 || m.payload[0] != '{' {
		p.handler.hub.CountRefusal(signal.ErrBadMessage)
		return
	}
	frame := forwarded(kind, p.quoted, m)
	err := p.client.SendTo(signal.Recipient{Name: dst}, broker.Message{Kind: broker.Note, Label: kind, Payload: frame})
	switch {
	case err == nil:
		return
	case errors.Is(err, signal.ErrPeerOffline):
		to := address{p.space, dst}
		if p.handler.offline.addMessage(to, waitingMessage{p, frame}) {
			if there := p.handler.peerAt(to); there != nil {
				there.deliverWaiting() // it came meanwhile
			}
			return
		}
	}
	if kind != "CANDIDATE" {
		p.client.Send(expired(dst, p.id))
	}
}

// encode appends a message from another client, which is a whole frame.
func encode(b []byte, m broker.Message) []byte { return append(b, m.Payload...) }
