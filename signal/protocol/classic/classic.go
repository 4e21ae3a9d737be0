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

// Options configure the protocol on one listener.
type Options struct {
	// Greeting is a text frame that the server sends to each client that connects, such as "Hello world". If it is empty,
	// the server sends none.
	Greeting string
	// UnknownCommand begins the message of the error for an unknown type; a colon and the type follow. If it is empty, it is
	// "Command not found". The servers of some tutorials say "Unrecognized command" instead.
	UnknownCommand string
	// If Loose is true, the server forwards answers, candidates and leaves also between clients that have not exchanged an
	// offer.
	Loose bool
}

// Protocol is the name of this protocol in metrics and logs.
const Protocol = "classic"

// Handler serves the WebSockets of one listener. Its methods are safe for concurrent use.
type Handler struct {
	opts    Options
	hub     *signal.Hub
	ice     signal.ICEProvider
	log     *slog.Logger
	service websocket.Service
}

// New returns a Handler. It calls ice for the ICE servers of each client that signs in; if ice is nil, clients get none. A
// nil logger discards all records.
func New(hub *signal.Hub, ice signal.ICEProvider, log *slog.Logger, o Options) *Handler {
	log = cmp.Or(log, slog.New(slog.DiscardHandler))
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

// Access makes the gateway's decisions about one request.
type Access interface {
	// AdmitWebSocket decides whether a WebSocket may connect, and counts it until release is called. If it may not,
	// AdmitWebSocket responds to the request and returns false. later is true if the client may still show its secret in its
	// first message.
	AdmitWebSocket(w http.ResponseWriter, later bool) (v signal.Visitor, release func(), ok bool)
}

// Serve serves the WebSocket that the request asks for. It returns when the handshake is done; the hub waits for the
// goroutine that then serves the client.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, a Access) {
	if v, release, ok := a.AdmitWebSocket(w, false); ok {
		h.service.Serve(w, r, v, release)
	}
}

// connection is the connection of one client.
type connection struct {
	handler  *Handler
	client   *signal.Client
	lastPeer string // the peer that the client named last; keeping the string saves an allocation for most messages
}

// Open implements websocket.MessageHandler.
func (c *connection) Open() {
	if g := c.handler.opts.Greeting; g != "" {
		c.client.Send([]byte(g))
	}
}

// SendError implements websocket.MessageHandler.
func (c *connection) SendError(e *signal.Error) { c.refuse(e, "") }

// refuse sends the client an error. peer is the peer that it concerns, or "".
func (c *connection) refuse(e *signal.Error, peer string) {
	c.client.Send(frame(errorReply{Type: "error", Code: e.Code, Name: peer, Message: e.Message}))
}

// HandleText implements websocket.MessageHandler.
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
		if to, ok := c.peerName(e.name); ok {
			c.client.Leave(to)
		}
	default:
		c.refuseUnknown(e.kind)
	}
	return nil
}

// forward forwards a payload to a peer.
func (c *connection) forward(kind broker.Kind, name, payload []byte) {
	to, ok := c.peerName(name)
	if !ok || payload == nil {
		c.refuseMalformed()
		return
	}
	var err error
	if kind == broker.Offer {
		err = c.client.Offer(to, payload)
	} else {
		err = c.client.SendInPair(kind, to, payload)
	}
	if err != nil {
		c.sendForwardError(kind, to, err)
	}
}

// sendForwardError tells the client that a message could not be forwarded. It does not report a candidate, because
// candidates keep arriving after a call has ended. It does report one if the client has not signed in.
func (c *connection) sendForwardError(kind broker.Kind, to string, err error) {
	var refused *signal.Error
	if errors.As(err, &refused) && (kind != broker.Candidate || refused == signal.ErrNotSignedIn) {
		c.refuse(refused, to)
	}
}

// peerName decodes the name of a peer. It returns false if the value is not a string.
func (c *connection) peerName(value []byte) (name string, ok bool) {
	text, ok := rawjson.Text(value)
	if ok && string(text) != c.lastPeer {
		c.lastPeer = string(text)
	}
	return c.lastPeer, ok
}

// refuseMalformed tells the client that its message is malformed, and counts the refusal.
func (c *connection) refuseMalformed() {
	c.handler.hub.CountRefusal(signal.ErrBadMessage)
	c.SendError(signal.ErrBadMessage)
}

// maxEcho limits how many bytes of an unknown type the server sends back.
const maxEcho = 64

// refuseUnknown tells the client that the type of its message is unknown, in the format of the tutorials' servers, and
// counts the refusal. kind is the raw JSON of the type, or nil.
func (c *connection) refuseUnknown(kind []byte) {
	c.handler.hub.CountRefusal(signal.ErrUnknownType)
	shown, ok := unquote(kind)
	switch {
	case kind == nil:
		shown = "undefined"
	case !ok:
		shown = string(kind)
	}
	if len(shown) > maxEcho {
		shown = shown[:maxEcho] + "..."
	}
	c.client.Send(frame(errorReply{
		Type: "error", Code: signal.ErrUnknownType.Code, Message: c.handler.opts.UnknownCommand + ": " + shown,
	}))
}

// login signs the client in. If another connection holds the name, that connection first has to be asked for a sign of life,
// which can take a second or more; login then returns a function that waits for it.
func (c *connection) login(e envelope) (slow func()) {
	name, _ := unquote(e.name) // a value that is not a string becomes "", which is refused
	done, err := c.client.TrySignIn(name)
	if !done {
		return func() { c.sendLoginReply(name, c.client.SignIn(name)) }
	}
	c.sendLoginReply(name, err)
	return nil
}

// sendLoginReply sends the reply to a login. err is the result of the sign-in.
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

// addICE adds ICE servers to the reply to a login, or the reason why there are none. The login succeeds either way, because
// a client would take a failed login to mean that its name is taken.
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
			c.handler.log.Warn("client signed in without ICE servers",
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
