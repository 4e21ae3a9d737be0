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
	// Text acts on a message; see websocket.Session.
	Text func(m *Member, text []byte) (slow func())
	// Refuse is the frame that says what was refused, with the topic it is about, if it is about one. Clients have to bear it.
	Refuse func(e *signal.Error, topic string) []byte
	// Plain answers a request that is none for a WebSocket, if it isn't nil.
	Plain func(http.ResponseWriter)
}

// Options are fixed for the life of a handler.
type Options struct {
	Hub        *signal.Hub
	Logger     *slog.Logger          // nil: discards
	Registerer prometheus.Registerer // nil: no registration
}

// Door is what a handler wants of the gateway for a request.
type Door interface {
	Enter() (leave func(), err error)
	Judge(secrets ...string) (signal.Visitor, error)
	Refuse(w http.ResponseWriter, err error)
}

// exchange knows who has subscribed to what. Its errors are *signal.Errors.
type exchange interface {
	subscribe(topic string, c *signal.Client, l signal.TopicLimits) error
	unsubscribe(topic string, c *signal.Client)
	subscribers(topic string) []*signal.Client
}

// Handler serves the WebSockets of one protocol.
type Handler struct {
	dialect  Dialect
	hub      *signal.Hub
	log      *slog.Logger
	exchange exchange
	metrics  *metrics
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
	o.Hub.Declare(d.Protocol)
	return &Handler{dialect: d, hub: o.Hub, log: o.Logger, exchange: there, metrics: m}, nil
}

// Serve serves a request.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, d Door) {
	if !gorilla.IsWebSocketUpgrade(r) {
		h.servePlain(w)
		return
	}
	leave, err := d.Enter()
	if err != nil {
		d.Refuse(w, err)
		return
	}
	v, err := d.Judge()
	if err != nil {
		leave()
		d.Refuse(w, err)
		return
	}
	m := &Member{handler: h}
	service := websocket.Service{
		Hub: h.hub, Logger: h.log,
		// Nobody can address these clients, so there is nothing to encode.
		Profile: signal.Profile{Protocol: h.dialect.Protocol, Space: h.dialect.Protocol, Pairs: -1, Expires: true},
		Session: func(c *signal.Client) websocket.Session {
			m.client = c
			return session{m}
		},
	}
	service.Serve(w, r, v, func() {
		m.leave()
		leave()
	})
}

func (h *Handler) servePlain(w http.ResponseWriter) {
	if h.dialect.Plain != nil {
		h.dialect.Plain(w)
		return
	}
	w.Header().Set("Upgrade", "websocket")
	w.Header().Set("Connection", "Upgrade")
	http.Error(w, "this is a WebSocket endpoint", http.StatusUpgradeRequired)
}

// session is a member as a websocket.Session.
type session struct{ *Member }

// Open implements websocket.Session.
func (s session) Open() {}

// Text implements websocket.Session.
func (s session) Text(text []byte) (slow func()) { return s.handler.dialect.Text(s.Member, text) }

// Refuse implements websocket.Session.
func (s session) Refuse(e *signal.Error) { s.client.Send(s.handler.dialect.Refuse(e, "")) }
