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
		Hub:        hub,
		Logger:     log,
		Profile:    signal.Profile{Protocol: Protocol, Encode: encode, OneCall: true, Expires: true, Loose: o.Loose},
		NewHandler: func(c *signal.Client) websocket.MessageHandler { return &connection{handler: h, client: c} },
	}
	hub.InitMetrics(Protocol)
	return h
}

// Access is how a handler asks the gateway whether a request may connect.
type Access interface {
	// AdmitWebSocket counts the connection until release is called, or answers the request and reports false.
	AdmitWebSocket(w http.ResponseWriter, later bool) (v signal.Visitor, release func(), ok bool)
}

// Serve serves one WebSocket, whose upgrade request this is. It returns when the upgrade is done.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, a Access) {
	if v, release, ok := a.AdmitWebSocket(w, false); ok {
		h.service.Serve(w, r, v, release)
	}
}

// connection is one client's state in this protocol, which is none beyond the core's.
type connection struct {
	handler *Handler
	client  *signal.Client
	peer    string // whom it named last: most messages are for the same one
}

// Open implements websocket.Session.
func (c *connection) Open() {
	if g := c.handler.opts.Greeting; g != "" {
		c.client.Send([]byte(g))
	}
}

// SendError implements websocket.Session.
func (c *connection) SendError(e *signal.Error) { c.refuse(e, "") }

func (c *connection) refuse(e *signal.Error, peer string) {
	c.client.Send(frame(errorReply{Type: "error", Code: e.Code, Name: peer, Message: e.Message}))
}

// HandleText implements websocket.Session.
func (c *connection) HandleText(message []byte) (slow func()) {
	e, ok := decode(message)
	if !ok {
		c.refuseMalformed()
		return nil
	}
	kind, _ := rawjson.Text(e.kind)
	switch string(kind) {
	case "login":
		return c.login(e)
	case "offer":
		c.forward(broker.Offer, e.name, e.offer)
	case "answer":
		c.forward(broker.Answer, e.name, e.answer)
	case "candidate":
		c.forward(broker.Candidate, e.name, e.candidate)
	case "leave":
		if to, ok := c.name(e.name); ok {
			c.client.Leave(to)
		}
	default:
		c.refuseUnknown(e.kind)
	}
	return nil
}

// forward forwards a payload to a peer. The sender hears of what was refused, except for candidates.
func (c *connection) forward(kind broker.Kind, name, payload []byte) {
	to, ok := c.name(name)
	if !ok || payload == nil {
		c.refuseMalformed()
		return
	}
	var err error
	if kind == broker.Offer {
		err = c.client.Offer(to, payload)
	} else {
		err = c.client.Tell(kind, to, payload)
	}
	if err != nil {
		c.sendForwardError(kind, to, err)
	}
}

func (c *connection) sendForwardError(kind broker.Kind, to string, err error) {
	var refused *signal.Error
	if errors.As(err, &refused) && (kind != broker.Candidate || refused == signal.ErrNotSignedIn) {
		c.refuse(refused, to)
	}
}

// name returns the string that a value is, if it is one.
func (c *connection) name(value []byte) (name string, ok bool) {
	text, ok := rawjson.Text(value)
	if ok && string(text) != c.peer {
		c.peer = string(text)
	}
	return c.peer, ok
}

func (c *connection) refuseMalformed() {
	c.handler.hub.CountRefusal(signal.ErrBadMessage)
	c.SendError(signal.ErrBadMessage)
}

// maxEcho is how much of an unknown type is sent back.
const maxEcho = 64

// refuseUnknown answers a type that isn't known in the words that the clients' own servers used.
func (c *connection) refuseUnknown(kind []byte) {
	c.handler.hub.CountRefusal(signal.ErrUnknownType)
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
	c.client.Send(frame(errorReply{
		Type: "error", Code: signal.ErrUnknownType.Code, Message: c.handler.opts.UnknownCommand + ": " + said,
	}))
}

// login takes its time where somebody has the name, who has to be asked for a sign of life.
func (c *connection) login(e envelope) (slow func()) {
	name, _ := unquote(e.name) // what is no string is no name
	done, err := c.client.TrySignIn(name)
	if !done {
		return func() { c.sendLoginReply(name, c.client.SignIn(name)) }
	}
	c.sendLoginReply(name, err)
	return nil
}

// sendLoginReply answers a login.
func (c *connection) sendLoginReply(name string, err error) {
	if err != nil {
		var refused *signal.Error
		if !errors.As(err, &refused) {
			refused = signal.ErrUnavailable
		}
		c.client.Send(frame(loginReply{Type: "login", Code: refused.Code, Message: refused.Message}))
		return
	}
	reply := loginReply{Type: "login", Success: true, Token: c.client.Token()}
	c.addICE(&reply, name)
	c.client.Send(frame(reply))
}

// addICE puts ICE servers into the reply to a login, or why there are none. A login doesn't fail for it:
// these clients would take that for a name that is taken.
func (c *connection) addICE(reply *loginReply, name string) {
	if c.handler.ice == nil {
		return
	}
	v := c.client.Visitor()
	servers, err := c.handler.ice(c.handler.hub.DoneContext(), signal.ICERequest{User: name, Host: v.Host, Addr: v.Addr})
	if err != nil {
		var refused *signal.Error
		if !errors.As(err, &refused) {
			refused = signal.ErrUnavailable
			c.handler.log.Warn("no ICE servers for a sign-in",
				slog.String("client", c.client.ID().String()), slog.Any("error", err))
		}
		c.handler.hub.CountRefusal(refused)
		reply.ICEError = &problem{Code: refused.Code, Message: refused.Message}
		return
	}
	reply.ICEServers = servers.RTC()
	if !servers.Expires.IsZero() {
		reply.Expires, reply.TTL = servers.Expires.Unix(), int64(servers.TTL.Seconds())
	}
}
