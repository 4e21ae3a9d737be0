package classic

import (
	"cmp"
	"errors"
	"log/slog"
	"net/http"

	"icebox/signal"
	"icebox/signal/broker"
	"icebox/signal/rawjson"
	"icebox/signal/websocket"
)

// Options are what listeners may differ in.
type Options struct {
	// Greeting is a text frame sent to every client when it connects, such as "Hello world"; none if empty.
	Greeting string
	// UnknownCommand is the wording of the error for an unknown type, before a colon and the type:
	// "Command not found" if empty, "Unrecognized command" for clients of the other tradition.
	UnknownCommand string
	// Loose lets clients answer, trickle and hang up where no offer was exchanged.
	Loose bool
}

// Protocol is the name of this protocol in metrics and logs.
const Protocol = "classic"

// Handler serves WebSockets that speak this protocol.
type Handler struct {
	opts    Options
	hub     *signal.Hub
	ice     signal.ICEProvider
	log     *slog.Logger
	service websocket.Service
}

// New returns a Handler. The provider is asked at every sign-in; nil means that there are no ICE servers.
func New(hub *signal.Hub, ice signal.ICEProvider, log *slog.Logger, o Options) *Handler {
	o.UnknownCommand = cmp.Or(o.UnknownCommand, "Command not found")
	h := &Handler{opts: o, hub: hub, ice: ice, log: log}
	h.service = websocket.Service{
		Hub:     hub,
		Logger:  log,
		Profile: signal.Profile{Protocol: Protocol, Encode: encode, OneCall: true, Expires: true, Loose: o.Loose},
		Session: func(c *signal.Client) websocket.Session { return &session{handler: h, client: c} },
	}
	hub.Declare(Protocol)
	return h
}

// Serve serves one WebSocket, whose upgrade request this is. It returns when the upgrade is done; done is
// called when the client has gone.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, v signal.Visitor, done func()) {
	h.service.Serve(w, r, v, done)
}

// session is one client's state in this protocol, which is none beyond the core's.
type session struct {
	handler *Handler
	client  *signal.Client
	peer    string // whom it named last: most messages are for the same one
}

// Open implements websocket.Session.
func (s *session) Open() {
	if g := s.handler.opts.Greeting; g != "" {
		s.client.Send([]byte(g))
	}
}

// Refuse implements websocket.Session.
func (s *session) Refuse(e *signal.Error) { s.refuse(e, "") }

func (s *session) refuse(e *signal.Error, peer string) {
	s.client.Send(frame(errorReply{Type: "error", Code: e.Code, Name: peer, Message: e.Message}))
}

// Text implements websocket.Session.
func (s *session) Text(message []byte) (slow func()) {
	e, ok := decode(message)
	if !ok {
		s.bad()
		return nil
	}
	kind, _ := rawjson.Text(e.kind)
	switch string(kind) {
	case "login":
		return s.login(e)
	case "offer":
		s.pass(broker.Offer, e.name, e.offer)
	case "answer":
		s.pass(broker.Answer, e.name, e.answer)
	case "candidate":
		s.pass(broker.Candidate, e.name, e.candidate)
	case "leave":
		if to, ok := s.name(e.name); ok {
			s.client.Leave(to)
		}
	default:
		s.unknown(e.kind)
	}
	return nil
}

// pass forwards a payload to a peer. The sender hears of what was refused, except for candidates.
func (s *session) pass(kind broker.Kind, name, payload []byte) {
	to, ok := s.name(name)
	if !ok || payload == nil {
		s.bad()
		return
	}
	var err error
	if kind == broker.Offer {
		err = s.client.Offer(to, payload)
	} else {
		err = s.client.Tell(kind, to, payload)
	}
	if err != nil {
		s.notPassed(kind, to, err)
	}
}

func (s *session) notPassed(kind broker.Kind, to string, err error) {
	var refused *signal.Error
	if errors.As(err, &refused) && (kind != broker.Candidate || refused == signal.ErrNotSignedIn) {
		s.refuse(refused, to)
	}
}

// name returns the string that a value is, if it is one.
func (s *session) name(value []byte) (name string, ok bool) {
	text, ok := rawjson.Text(value)
	if ok && string(text) != s.peer {
		s.peer = string(text)
	}
	return s.peer, ok
}

func (s *session) bad() {
	s.handler.hub.Refuse(signal.ErrBadMessage)
	s.Refuse(signal.ErrBadMessage)
}

// maxEcho is how much of an unknown type is sent back.
const maxEcho = 64

// unknown answers a type that isn't known in the words that the clients' own servers used.
func (s *session) unknown(kind []byte) {
	s.handler.hub.Refuse(signal.ErrUnknownType)
	said, ok := unquote(kind)
	switch {
	case kind == nil:
		said = "undefined"
	case !ok:
		said = string(kind)
	}
	if len(said) > maxEcho {
		said = said[:maxEcho] + "..."
	}
	s.client.Send(frame(errorReply{
		Type: "error", Code: signal.ErrUnknownType.Code, Message: s.handler.opts.UnknownCommand + ": " + said,
	}))
}

// login takes its time where somebody has the name, who has to be asked for a sign of life.
func (s *session) login(e envelope) (slow func()) {
	name, _ := unquote(e.name) // what is no string is no name
	done, err := s.client.TrySignIn(name)
	if !done {
		return func() { s.loggedIn(name, s.client.SignIn(name)) }
	}
	s.loggedIn(name, err)
	return nil
}

// loggedIn answers a login.
func (s *session) loggedIn(name string, err error) {
	if err != nil {
		var refused *signal.Error
		if !errors.As(err, &refused) {
			refused = signal.ErrUnavailable
		}
		s.client.Send(frame(loginReply{Type: "login", Code: refused.Code, Message: refused.Message}))
		return
	}
	reply := loginReply{Type: "login", Success: true, Token: s.client.Token()}
	s.addICE(&reply, name)
	s.client.Send(frame(reply))
}

// addICE puts ICE servers into the reply to a login, or why there are none. A login doesn't fail for it:
// these clients would take that for a name that is taken.
func (s *session) addICE(reply *loginReply, name string) {
	if s.handler.ice == nil {
		return
	}
	v := s.client.Visitor()
	servers, err := s.handler.ice(s.handler.hub.Context(), signal.ICERequest{User: name, Host: v.Host, Addr: v.Addr})
	if err != nil {
		var refused *signal.Error
		if !errors.As(err, &refused) {
			refused = signal.ErrUnavailable
			s.handler.log.Warn("no ICE servers for a sign-in",
				slog.String("client", s.client.ID().String()), slog.Any("error", err))
		}
		s.handler.hub.Refuse(refused)
		reply.ICEError = &problem{Code: refused.Code, Message: refused.Message}
		return
	}
	reply.ICEServers = servers.RTC()
	if !servers.Expires.IsZero() {
		reply.Expires, reply.TTL = servers.Expires.Unix(), int64(servers.TTL.Seconds())
	}
}
