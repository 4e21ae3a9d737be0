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

// peer is the connection of one client. Its fields do not change after Open, apart from waiting.
type peer struct {
	handler *Handler
	client  *signal.Client
	fullName
	quoted  []byte            // id as a JSON string
	token   [sha256.Size]byte // hash of the client's token
	resumes bool              // a newer connection with the same token may take over the id
	refusal []byte            // the frame that refuses the client; nil if it is admitted
	waiting usage             // of the client's own messages in the offlineStore, whose mu guards it
}

// addrKey returns the client's address as the key for limits.
func (p *peer) addrKey() netip.Addr { return p.client.AddrKey() }

// Open implements websocket.MessageHandler. It claims the id, which blocks for as long as a sign-in may take.
func (p *peer) Open() {
	if p.refusal == nil {
		err := p.claim()
		if err == nil {
			p.handler.register(p) // before OPEN, so that a client that has seen OPEN can rely on it
			p.client.Send([]byte(openFrame))
			p.deliverWaiting()
			return
		}
		if errors.Is(err, signal.ErrRestarting) {
			p.client.End(signal.Restarting) // without an ERROR, after which PeerJS would not reconnect
			return
		}
		p.refusal = refusal(err)
	}
	p.client.Send(p.refusal)
	p.client.End(signal.Refused)
}

// claim gives the id to this connection. It takes it over from an older connection of the same client, or signs in.
func (p *peer) claim() error {
	if old := p.handler.peerAt(p.fullName); old != nil && p.isSameClient(old) && p.client.TakeOver(old.client) {
		old.client.End(signal.Superseded)
		return nil
	}
	return p.client.SignIn(p.id)
}

// refusal returns the frame that tells the client, in PeerServer's wording, why it did not get its id.
func refusal(err error) []byte {
	var refused *signal.Error
	switch {
	case errors.Is(err, signal.ErrNameTaken):
		return notice{Type: "ID-TAKEN", Payload: &noticePayload{msgTaken}}.frame()
	case errors.Is(err, signal.ErrNameNotAllowed):
		return errorFrame(msgToken)
	case errors.As(err, &refused):
		return errorFrame(refused.Message)
	default:
		return errorFrame(signal.ErrUnavailable.Message)
	}
}

// isSameClient reports whether an older connection belongs to the same Peer object: whether it has the same secret token.
func (p *peer) isSameClient(old *peer) bool {
	return p.resumes && old.resumes && subtle.ConstantTimeCompare(p.token[:], old.token[:]) == 1
}

// deliverWaiting sends the client the messages that have waited for it. If the client ends meanwhile, the remaining
// messages wait for its next connection.
func (p *peer) deliverWaiting() {
	select {
	case <-p.client.Done():
		return // the messages wait for the next connection
	default:
	}
	for _, m := range p.handler.offline.takeMessages(p.fullName) {
		err := p.client.Forward(m.from.client.ID(), m.frame)
		switch {
		case errors.Is(err, signal.ErrPeerOffline):
			p.handler.offline.addMessage(p.fullName, m)
		case err != nil:
			p.handler.hub.CountRefusal(signal.ErrPeerBusy)
		}
	}
}

// SendError implements websocket.MessageHandler. A PeerJS client gives up its connection after every error, so SendError
// sends only an error that ends the connection anyway.
func (p *peer) SendError(e *signal.Error) {
	if e == signal.ErrTooLarge {
		p.client.Send(errorFrame(e.Message))
	}
}

// HandleText implements websocket.MessageHandler.
func (p *peer) HandleText(text []byte) (slow func()) {
	m, ok := decode(text)
	kind, known := rawjson.String(m.kind)
	if !ok || !known {
		p.handler.hub.CountRefusal(signal.ErrBadMessage)
		return nil
	}
	switch {
	case kind == "HEARTBEAT": // the core has already noted the sign of life
	case isForwarded(kind):
		p.forward(kind, m)
	default:
		p.handler.hub.CountRefusal(signal.ErrUnknownType)
	}
	return nil
}

// forward sends a message to its recipient. If the recipient is not connected, the message waits for it. If it cannot wait,
// or the recipient's queue is full, forward sends EXPIRE to the sender. It does not do so for a candidate, because losing
// one does not end a call.
func (p *peer) forward(kind string, m message) {
	dst, ok := rawjson.String(m.dst)
	if !ok || !signal.ValidName(dst) || len(m.payload) == 0 || m.payload[0] != '{' {
		p.handler.hub.CountRefusal(signal.ErrBadMessage)
		return
	}
	frame := forwardedFrame(kind, p.quoted, m)
	err := p.client.SendTo(signal.Recipient{Name: dst}, broker.Message{Kind: broker.Note, Label: kind, Payload: frame})
	switch {
	case err == nil:
		return
	case errors.Is(err, signal.ErrPeerOffline):
		to := fullName{p.namespace, dst}
		if p.handler.offline.addMessage(to, waitingMessage{p, frame}) {
			if recipient := p.handler.peerAt(to); recipient != nil {
				// The recipient connected after SendTo had failed, and may have missed the message.
				recipient.deliverWaiting()
			}
			return
		}
	}
	if kind != "CANDIDATE" {
		p.client.Send(expireFrame(dst, p.id))
	}
}

// encode appends the frame of a message from another client. The sender's side has already built the frame.
func encode(b []byte, m broker.Message) []byte { return append(b, m.Payload...) }
