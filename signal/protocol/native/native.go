package native

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	gorilla "github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"icebox/signal"
	"icebox/signal/broker"
	"icebox/signal/protocol/native/call"
	"icebox/signal/protocol/native/wire"
	"icebox/signal/websocket"
)

// Protocol is the name of this protocol in metrics and logs.
const Protocol = "native"

const (
	helloWait = 10 * time.Second // for a WebSocket to sign in
	quietTime = 5 * time.Second  // after which a transport is asked for a sign of life when written to
	probeWait = 5 * time.Second  // for that
	byeWait   = time.Second      // to write a goodbye
	writeWait = 10 * time.Second // to write what was kept for a resumed session
	maxHellos = 5                // refused on one connection
	maxPairs  = 128
)

// Options are fixed for the life of a Handler.
type Options struct {
	Hub *signal.Hub
	// ICE is asked at every sign-in and call; nil means that there are no ICE servers.
	ICE signal.ICEProvider
	// Secret outlives the process, so that calls can be gone on with in the next one. Empty: they can't.
	Secret []byte
	// Authorize judges the token of a hello, which may be empty, and returns the visitor with what it says. nil
	// admits everybody. The error is an *signal.Error, perhaps wrapped.
	Authorize  func(context.Context, signal.Visitor, string) (signal.Visitor, error)
	Logger     *slog.Logger          // nil: discards
	Registerer prometheus.Registerer // nil: no registration
}

// Handler serves clients that speak this protocol, over whatever transport. It has all their calls.
type Handler struct {
	hub       *signal.Hub
	ice       signal.ICEProvider
	authorize func(context.Context, signal.Visitor, string) (signal.Visitor, error)
	log       *slog.Logger
	calls     *call.Registry
	metrics   *metrics
	profile   signal.Profile
	pending   pendingSockets
}

// New returns a Handler.
func New(o Options) (*Handler, error) {
	if o.Hub == nil {
		return nil, errors.New("make a native handler: there is no hub")
	}
	h := &Handler{hub: o.Hub, ice: o.ICE, authorize: o.Authorize, log: cmp.Or(o.Logger, slog.New(slog.DiscardHandler))}
	if h.authorize == nil {
		h.authorize = func(_ context.Context, v signal.Visitor, _ string) (signal.Visitor, error) { return v, nil }
	}
	var err error
	if h.calls, err = call.New(call.Options{
		Limits: func() signal.CallLimits { return o.Hub.Limits().Calls }, Secret: o.Secret, Registerer: o.Registerer,
	}); err != nil {
		return nil, fmt.Errorf("make a native handler: %w", err)
	}
	if h.metrics, err = newMetrics(o.Registerer); err != nil {
		return nil, fmt.Errorf("make a native handler: %w", err)
	}
	h.profile = signal.Profile{
		Protocol: Protocol, Encode: encode, Presence: presence, ByID: true, Pairs: maxPairs,
	}
	h.pending.sockets = make(map[*webSocket]struct{})
	context.AfterFunc(o.Hub.DrainingContext(), h.pending.closeAll)
	o.Hub.InitMetrics(Protocol)
	return h, nil
}

// Access is how a handler asks the gateway whether a request may sign in.
type Access interface {
	// AdmitWebSocket and AdmitHello count what signs in until release is called, or answer the request and report false.
	AdmitWebSocket(w http.ResponseWriter, later bool) (v signal.Visitor, release func(), ok bool)
	AdmitHello(w http.ResponseWriter) (v signal.Visitor, release func(), ok bool)
	AllowCORS(w http.ResponseWriter, methods string) (preflight bool)
	RefuseMethod(w http.ResponseWriter, allowed string)
}

// Offered reports whether the client of a WebSocket speaks this protocol.
func Offered(r *http.Request) bool { return slices.Contains(gorilla.Subprotocols(r), wire.Subprotocol) }

// ServeWebSocket serves a WebSocket whose upgrade request this is, and returns when the upgrade is done.
func (h *Handler) ServeWebSocket(w http.ResponseWriter, r *http.Request, a Access) {
	if v, release, ok := a.AdmitWebSocket(w, true); ok {
		h.upgrade(w, r, v, release)
	}
}

// upgrade serves a WebSocket. Done is called when neither the connection nor a session that began on it is left.
func (h *Handler) upgrade(w http.ResponseWriter, r *http.Request, v signal.Visitor, done func()) {
	var l *webSocket
	host := websocket.Host{Hub: h.hub, Logger: h.log, Accept: func(c signal.NonblockingConn) (websocket.Peer, websocket.MessageHandler, error) {
		var err error
		l, err = newWebSocket(h, c, v, done)
		return l, l, err
	}}
	host.Serve(w, r, wire.Subprotocol, func() {
		if l == nil {
			done() // there was no upgrade, and the WebSocket has it otherwise
		}
	})
}

// encode appends the frame that tells a client of another's message.
func encode(b []byte, m broker.Message) []byte {
	from := m.From.String()
	if m.Gone {
		return append(b, (&wire.Message{Type: wire.Gone, From: from, FromName: m.FromName}).Encode()...)
	}
	kind, data := m.Label, m.Payload
	if m.Kind != broker.Note {
		kind = m.Kind.String()
	}
	return wire.AppendDelivery(b, "", from, m.FromName, kind, data)
}

func presence(name string, held bool) []byte {
	return (&wire.Message{Type: wire.Presence, Name: name, Online: &held}).Encode()
}

// refusal is the error that a client is told.
func clientError(err error) *signal.Error {
	var refused *signal.Error
	if errors.As(err, &refused) {
		return refused
	}
	return signal.ErrUnavailable
}

// errorMessage is the message that refuses a request.
func errorMessage(r *wire.Request, e *signal.Error) *wire.Message {
	m := &wire.Message{Type: wire.Fail, Code: e.Code, Text: e.Message, Ref: r.Ref, To: r.To, ToID: r.ToID, Call: r.Call}
	if e == signal.ErrVersion {
		m.V = wire.Version
	}
	return m
}
