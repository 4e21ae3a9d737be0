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
	// helloWait is how long a WebSocket may take to sign in. Verifying a token may take as long.
	helloWait = 10 * time.Second
	// quietTime is how long a transport may be silent before a write to it is followed by a ping (a probe).
	quietTime = 5 * time.Second
	// probeWait is how long the answer to a probe may take.
	probeWait = 5 * time.Second
	// byeWait is how long writing a goodbye may take.
	byeWait = time.Second
	// writeWait is how long writing all kept messages to a new transport may take, or a comment to an event stream.
	writeWait = 10 * time.Second
	// maxHellos is how many messages may be refused on one WebSocket before it has signed in.
	maxHellos = 5
	// maxPairs limits the pairs of one client (see package signal). The oldest pairs are dropped.
	maxPairs = 128
)

// Options are fixed for the life of a Handler.
type Options struct {
	Hub *signal.Hub
	// ICE provides the ICE servers for each sign-in, each call and each refresh. If it is nil, clients get none.
	ICE signal.ICEProvider
	// Secret authenticates the proofs with which clients continue their calls after a restart. It must be the same in
	// the next process. If it is empty, calls end with the process.
	Secret []byte
	// Authorize verifies the token of a hello or renew, which may be empty, and returns the visitor with the token's
	// grant. If Authorize is nil, every client is admitted. The error is or wraps an *signal.Error.
	Authorize  func(ctx context.Context, v signal.Visitor, token string) (signal.Visitor, error)
	Logger     *slog.Logger          // nil discards
	Registerer prometheus.Registerer // nil registers no metrics
}

// Handler serves the clients of this protocol over all its transports, and owns their calls. Its methods are safe for
// concurrent use. It has no Close: shutting down the hub ends all its sessions and connections.
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

// New returns a Handler. It fails if there is no hub, or if a metric is registered already.
func New(o Options) (*Handler, error) {
	if o.Hub == nil {
		return nil, errors.New("create the native handler: Options.Hub is nil")
	}
	h := &Handler{hub: o.Hub, ice: o.ICE, authorize: o.Authorize, log: cmp.Or(o.Logger, slog.New(slog.DiscardHandler))}
	if h.authorize == nil {
		h.authorize = func(_ context.Context, v signal.Visitor, _ string) (signal.Visitor, error) { return v, nil }
	}
	var err error
	if h.calls, err = call.New(call.Options{
		Limits: func() signal.CallLimits { return o.Hub.Limits().Calls }, Secret: o.Secret, Registerer: o.Registerer,
	}); err != nil {
		return nil, fmt.Errorf("create the native handler: %w", err)
	}
	if h.metrics, err = newMetrics(o.Registerer); err != nil {
		return nil, fmt.Errorf("create the native handler: %w", err)
	}
	h.profile = signal.Profile{
		Protocol: Protocol, Encode: encode, Presence: presence, ByID: true, Pairs: maxPairs,
	}
	h.pending.sockets = make(map[*webSocket]struct{})
	context.AfterFunc(o.Hub.DrainingContext(), h.pending.closeAll)
	o.Hub.InitMetrics(Protocol)
	return h, nil
}

// Access decides whether one request may use this protocol. Package gateway implements it.
type Access interface {
	// AdmitWebSocket decides whether a WebSocket may connect. If it may, the connection counts against the limits until
	// release is called. Otherwise AdmitWebSocket responds to the request and returns false. later is true if the client
	// may still present its token in its first message.
	AdmitWebSocket(w http.ResponseWriter, later bool) (v signal.Visitor, release func(), ok bool)
	// AdmitHello does the same for a POST that begins a session.
	AdmitHello(w http.ResponseWriter) (v signal.Visitor, release func(), ok bool)
	// AllowCORS sets the CORS headers for a list of methods such as "GET, POST". If the request is a preflight request,
	// AllowCORS responds to it and returns true.
	AllowCORS(w http.ResponseWriter, methods string) (preflight bool)
	// RefuseMethod responds to a request whose method is not the allowed one.
	RefuseMethod(w http.ResponseWriter, allowed string)
}

// Offered reports whether the client of an upgrade request offers this protocol's subprotocol.
func Offered(r *http.Request) bool { return slices.Contains(gorilla.Subprotocols(r), wire.Subprotocol) }

// ServeWebSocket responds to an upgrade request and returns after the upgrade. The connection is then served in the
// background until it ends or the hub shuts down.
func (h *Handler) ServeWebSocket(w http.ResponseWriter, r *http.Request, a Access) {
	if v, release, ok := a.AdmitWebSocket(w, true); ok {
		h.upgrade(w, r, v, release)
	}
}

// upgrade upgrades the request to a WebSocket. It calls release once: when the connection has ended, or, if a session
// began on the connection, when that session has ended.
func (h *Handler) upgrade(w http.ResponseWriter, r *http.Request, v signal.Visitor, release func()) {
	var ws *webSocket
	host := websocket.Host{Hub: h.hub, Logger: h.log, Accept: func(c signal.NonblockingConn) (websocket.Peer, websocket.MessageHandler, error) {
		var err error
		ws, err = newWebSocket(h, c, v, release)
		return ws, ws, err
	}}
	host.Serve(w, r, wire.Subprotocol, func() {
		if ws == nil {
			release() // the upgrade failed; otherwise the webSocket calls release
		}
	})
}

// encode appends the frame that passes m on to a client of this protocol.
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

// clientError returns the error to send to the client for err: unavailable, unless err is or wraps a *signal.Error.
func clientError(err error) *signal.Error {
	var refused *signal.Error
	if errors.As(err, &refused) {
		return refused
	}
	return signal.ErrUnavailable
}

// errorMessage returns the message that tells the client that r was refused.
func errorMessage(r *wire.Request, e *signal.Error) *wire.Message {
	m := &wire.Message{Type: wire.Fail, Code: e.Code, Text: e.Message, Ref: r.Ref, To: r.To, ToID: r.ToID, Call: r.Call}
	if e == signal.ErrVersion {
		m.V = wire.Version
	}
	return m
}
