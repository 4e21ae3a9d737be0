package topics

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	gorilla "github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"icebox/signal"
	"icebox/signal/websocket"
)

// Dialect is the message format of one protocol.
type Dialect struct {
	// Protocol is the name of the protocol in metrics and logs, and the namespace of its clients.
	Protocol string
	// HandleText acts on a text message of a client; see websocket.MessageHandler.
	HandleText func(m *Member, text []byte) (slow func())
	// EncodeRefusal returns the frame that tells a client of a refusal. topic is "" if the refusal is not about a topic.
	// Clients of the protocol must be able to ignore the frame.
	EncodeRefusal func(e *signal.Error, topic string) []byte
	// ServePlain responds to a request that does not ask for a WebSocket. If it is nil, such a request gets status 426.
	ServePlain func(http.ResponseWriter)
}

// Options configure a Handler. They cannot be changed afterwards.
type Options struct {
	Hub        *signal.Hub
	Logger     *slog.Logger          // nil discards all records
	Registerer prometheus.Registerer // nil leaves the metrics unregistered
}

// Access makes the gateway's decisions about one request.
type Access interface {
	// Admit counts a connection until release is called.
	Admit() (release func(), err error)
	// Authorize decides whether the client may sign in.
	Authorize(secrets ...string) (signal.Visitor, error)
	// WriteError responds to the request with an error of Admit or Authorize.
	WriteError(w http.ResponseWriter, err error)
}

// subscriptions stores which clients are subscribed to which topics. Its methods are safe for concurrent use.
type subscriptions interface {
	// subscribe adds a subscription that does not exist yet. The error is a *signal.Error; it says which limit was reached.
	subscribe(topic string, c *signal.Client, l signal.TopicLimits) error
	// unsubscribe removes a subscription, if it exists.
	unsubscribe(topic string, c *signal.Client)
	// subscribers returns the subscribers of a topic. The caller must not modify the slice.
	subscribers(topic string) []*signal.Client
}

// Handler serves the WebSockets of one protocol. Its methods are safe for concurrent use.
type Handler struct {
	dialect       Dialect
	hub           *signal.Hub
	log           *slog.Logger
	subscriptions subscriptions
	metrics       *metrics
}

// New returns a Handler for a protocol. It fails if there is no hub or if a metric is already registered.
func New(d Dialect, o Options) (*Handler, error) {
	if o.Hub == nil {
		return nil, errors.New("create topics handler: the hub is missing")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	store := newMemory()
	m, err := newMetrics(o.Registerer, d.Protocol, store)
	if err != nil {
		return nil, fmt.Errorf("create topics handler: %w", err)
	}
	o.Hub.InitMetrics(d.Protocol)
	return &Handler{dialect: d, hub: o.Hub, log: o.Logger, subscriptions: store, metrics: m}, nil
}

// Serve serves a request. It returns when the WebSocket handshake is done or the request has been refused; the hub waits for
// the goroutine that then serves the client.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, a Access) {
	if !gorilla.IsWebSocketUpgrade(r) {
		h.serveWithoutUpgrade(w)
		return
	}
	release, err := a.Admit()
	if err != nil {
		a.WriteError(w, err)
		return
	}
	v, err := a.Authorize()
	if err != nil {
		release()
		a.WriteError(w, err)
		return
	}
	m := &Member{handler: h}
	service := websocket.Service{
		Hub: h.hub, Logger: h.log,
		// These clients have no names, so no other client can send them a message that would need an encoder.
		Profile: signal.Profile{Protocol: h.dialect.Protocol, Namespace: h.dialect.Protocol, Pairs: -1, Expires: true},
		NewHandler: func(c *signal.Client) websocket.MessageHandler {
			m.client = c
			return memberHandler{m}
		},
	}
	service.Serve(w, r, v, func() {
		m.unsubscribeAll()
		release()
	})
}

func (h *Handler) serveWithoutUpgrade(w http.ResponseWriter) {
	if h.dialect.ServePlain != nil {
		h.dialect.ServePlain(w)
		return
	}
	w.Header().Set("Upgrade", "websocket")
	w.Header().Set("Connection", "Upgrade")
	http.Error(w, "this is a WebSocket endpoint", http.StatusUpgradeRequired)
}

// memberHandler adapts a Member to websocket.MessageHandler.
type memberHandler struct{ *Member }

// Open implements websocket.MessageHandler.
func (h memberHandler) Open() {}

// HandleText implements websocket.MessageHandler.
func (h memberHandler) HandleText(text []byte) (slow func()) {
	return h.handler.dialect.HandleText(h.Member, text)
}

// SendError implements websocket.MessageHandler.
func (h memberHandler) SendError(e *signal.Error) {
	h.client.Send(h.handler.dialect.EncodeRefusal(e, ""))
}
