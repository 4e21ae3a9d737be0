package peerjs

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	gorilla "github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"icebox/signal"
	"icebox/signal/websocket"
)

// Protocol is the name of this protocol in metrics and logs, and of the space that its clients' names are in.
const Protocol = "peerjs"

// maxKey is the longest key that is an application's name.
const maxKey = 64

// Options are fixed for the life of a handler.
type Options struct {
	Hub        *signal.Hub
	Logger     *slog.Logger          // nil: discards
	Registerer prometheus.Registerer // nil: no registration

	ExpireAfter time.Duration // 5 s, for which messages wait for who isn't there
}

// Access is what a handler wants of the gateway for a request. Its errors wrap those of package signal.
type Access interface {
	Admit() (leave func(), err error)
	Authorize(secrets ...string) (signal.Visitor, error)
	IsAPIKey(secret string) bool
	AllowCORS(w http.ResponseWriter, methods string) (preflight bool)
	WriteError(w http.ResponseWriter, err error)
}

// Handler serves PeerJS clients.
type Handler struct {
	hub     *signal.Hub
	log     *slog.Logger
	offline offlineStore

	mu    sync.Mutex
	peers map[string]map[string]*peer // that hold an id, by space
}

// New returns a Handler.
func New(o Options) (*Handler, error) {
	if o.Hub == nil || o.ExpireAfter < 0 {
		return nil, errors.New("make a PeerJS handler: there is no hub, or a time is negative")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("make a PeerJS handler: %w", err)
	}
	h := &Handler{
		hub: o.Hub, log: o.Logger, peers: make(map[string]map[string]*peer),
		offline: offlineStore{hub: o.Hub, metrics: m, after: cmp.Or(o.ExpireAfter, 5*time.Second), queues: make(map[address]*recipientQueue), addrs: make(map[netip.Addr]usage)},
	}
	o.Hub.InitMetrics(Protocol)
	return h, nil
}

// Serve serves a request, whose path is without the adapter's own.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, d Access) {
	key, what, nested := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if !nested {
		key, what = "peerjs", key
	}
	switch {
	case !nested && (what == "" || what == "peerjs") && gorilla.IsWebSocketUpgrade(r):
		h.connect(w, r, d)
	case d.AllowCORS(w, "GET"):
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, OPTIONS")
		http.Error(w, "use GET", http.StatusMethodNotAllowed)
	case what == "id":
		w.Header().Set("Content-Type", "text/html; charset=utf-8") // as PeerServer says
		w.Header().Set("Cache-Control", "no-store")
		_, _ = fmt.Fprint(w, freshID())
	case what == "peers":
		h.servePeers(w, d, key)
	case !nested && what == "":
		reply(w, map[string]string{"name": "PeerJS Server", "description": "icebox speaks the protocol of PeerJS clients here"})
	default:
		http.NotFound(w, r)
	}
}

// connect serves a WebSocket. A refusal that PeerJS has words for is told once the connection is there, and has been counted.
func (h *Handler) connect(w http.ResponseWriter, r *http.Request, d Access) {
	leave, err := d.Admit()
	if err != nil {
		d.WriteError(w, err)
		return
	}
	query := r.URL.Query()
	id, key, token := query.Get("id"), query.Get("key"), query.Get("token")
	v, err := d.Authorize(key, token)
	s := &peer{handler: h, quoted: quote(id), token: sha256.Sum256([]byte(token)), resumes: !d.IsAPIKey(token)}
	switch {
	case errors.Is(err, signal.ErrOrigin):
		leave()
		d.WriteError(w, err)
		return
	case err != nil:
		s.refusal = []byte(invalidKeyFrame)
	case id == "" || key == "" || token == "":
		h.hub.CountRefusal(signal.ErrBadMessage)
		s.refusal = failure(msgParameters)
	default:
		var ok bool
		if s.address, ok = h.addressOf(v, key, id); !ok {
			h.hub.CountRefusal(signal.ErrBadName)
			s.refusal = []byte(invalidKeyFrame)
		}
	}
	service := websocket.Service{
		Hub: h.hub, Logger: h.log,
		Profile: signal.Profile{
			Protocol: Protocol, Space: cmp.Or(s.space, Protocol), ByID: true, Pairs: -1, Expires: true, Encode: encode,
		},
		NewHandler: func(c *signal.Client) websocket.MessageHandler {
			s.client = c
			return s
		},
	}
	service.Serve(w, r, v, func() {
		h.unregister(s)
		leave()
	})
}

// addressOf returns where a client is: in the space of its application.
func (h *Handler) addressOf(v signal.Visitor, key, id string) (address, bool) {
	switch {
	case v.Key != "":
		return address{Protocol + "\x00key\x00" + v.Key, id}, true
	case h.hub.Limits().Access == signal.ByToken:
		return address{Protocol + "\x00jwt", id}, true
	default:
		return address{Protocol + "\x00app\x00" + key, id}, len(key) <= maxKey && signal.ValidName(key)
	}
}

// servePeers lists the ids of an application, if that is allowed.
func (h *Handler) servePeers(w http.ResponseWriter, d Access, key string) {
	if !h.hub.Limits().Discovery {
		http.Error(w, "Unauthorized", http.StatusUnauthorized) // as PeerServer says
		return
	}
	v, err := d.Authorize(key)
	if err != nil {
		d.WriteError(w, err)
		return
	}
	ids := []string{}
	if at, ok := h.addressOf(v, key, ""); ok {
		h.mu.Lock()
		for id := range h.peers[at.space] {
			ids = append(ids, id)
		}
		h.mu.Unlock()
	}
	reply(w, ids)
}

// peerAt returns the connection that holds an id.
func (h *Handler) peerAt(a address) *peer {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.peers[a.space][a.id]
}

// register notes that a connection holds its id.
func (h *Handler) register(s *peer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	app := h.peers[s.space]
	if app == nil {
		app = make(map[string]*peer)
		h.peers[s.space] = app
	}
	app[s.id] = s
}

// unregister notes that a connection has gone.
func (h *Handler) unregister(s *peer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	app := h.peers[s.space]
	if app[s.id] == s {
		delete(app, s.id)
	}
	if len(app) == 0 {
		delete(h.peers, s.space)
	}
}

// freshID returns a random UUID (RFC 9562 section 5.4), which is what PeerServer gives.
func freshID() string {
	var u [16]byte
	_, _ = rand.Read(u[:]) // documented never to fail
	u[6], u[8] = u[6]&0x0F|0x40, u[8]&0x3F|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

func reply(w http.ResponseWriter, v any) {
	b, _ := json.Marshal(v) // strings can't fail
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(b) // who hung up doesn't need it
}
