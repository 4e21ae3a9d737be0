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

// Dialect is how a protocol words what this package does.
type Dialect struct {
	// Protocol is the name in metrics and logs.
	Protocol string
	// HandleText acts on a message; see websocket.Session.
	HandleText func(m *Member, text []byte) (slow func())
	// EncodeRefusal is the frame that says what was refused, with the topic it is about, if it is about one. Clients have to bear it.
	EncodeRefusal func(e *signal.Error, topic string) []byte
	// ServePlain answers a request that is none for a WebSocket, if it isn't nil.
	ServePlain func(http.ResponseWriter)
}

// Options are fixed for the life of a handler.
type Options struct {
	Hub        *signal.Hub
	Logger     *slog.Logger          // nil: discards
	Registerer prometheus.Registerer // nil: no registration
}

// Access is what a handler wants of the gateway for a request.
type Access interface {
	Admit() (leave func(), err error)
	Authorize(secrets ...string) (signal.Visitor, error)
	WriteError(w http.ResponseWriter, err error)
}

// subscriptions knows who has subscribed to what. Its errors are *signal.Errors.
type subscriptions interface {
	subscribe(topic string, c *signal.Client, l signal.TopicLimits) error
	unsubscribe(topic string, c *signal.Client)
	subscribers(topic string) []*signal.Client
}

// Handler serves the WebSockets of one protocol.
type Handler struct {
	dialect       Dialect
	hub           *signal.Hub
	log           *slog.Logger
	subscriptions subscriptions
	metrics       *metrics
}

// New returns a Handler.
func New(d Dialect, o Options) (*Handler, error) {
	if o.Hub == nil {
		return nil, errors.New("make a handler of topics: there is no hub")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	there := newMemory()
	m, err := newMetrics(o.Registerer, d.Protocol, there)
	if err != nil {
		return nil, fmt.Errorf("make a handler of topics: %w", err)
	}
	o.Hub.InitMetrics(d.Protocol)
	return &Handler{dialect: d, hub: o.Hub, log: o.Logger, subscriptions: there, metrics: m}, nil
}

// Serve serves a request.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, d Access) {
	if !gorilla.IsWebSocketUpgrade(r) {
		h.serveWithoutUpgrade(w)
		return
	}
	leave, err := d.Admit()
	if err != nil {
		d.WriteError(w, err)
		return
	}
	v, err := d.Authorize()
	if err != nil {
		leave()
		d.WriteError(w, err)
		return
	}
	m := &Member{handler: h}
	service := websocket.Service{
		Hub: h.hub, Logger: h.log,
		// Nobody can address these clients, so there is nothing to encode.
		Profile: signal.Profile{Protocol: h.dialect.Protocol, Space: h.dialect.Protocol, Pairs: -1, Expires: true},
		NewHandler: func(c *signal.Client) websocket.MessageHandler {
			m.client = c
			return memberHandler{m}
		},
	}
	service.Serve(w, r, v, func() {
		m.unsubscribeAll()
		leave()
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

// memberHandler is a member as a websocket.Session.
type memberHandler struct{ *Member }

// Open implements websocket.Session.
func (h memberHandler) Open() {}

// HandleText implements websocket.Session.
func (h memberHandler) HandleText(text []byte) (slow func()) {
	return h.handler.dialect.HandleText(h.Member, text)
}

// SendError implements websocket.Session.
func (h memberHandler) SendError(e *signal.Error) {
	h.client.Send(h.handler.dialect.EncodeRefusal(e, ""))
}
