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

// Door is what a handler wants of the gateway for a request. Its errors wrap those of package signal.
type Door interface {
	Enter() (leave func(), err error)
	Judge(secrets ...string) (signal.Visitor, error)
	Shared(secret string) bool
	Share(w http.ResponseWriter, methods string) (preflight bool)
	Refuse(w http.ResponseWriter, err error)
}

// Handler serves PeerJS clients.
type Handler struct {
	hub    *signal.Hub
	log    *slog.Logger
	absent absent

	mu       sync.Mutex
	sessions map[string]map[string]*session // that hold an id, by space
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
		hub: o.Hub, log: o.Logger, sessions: make(map[string]map[string]*session),
		absent: absent{hub: o.Hub, count: m, after: cmp.Or(o.ExpireAfter, 5*time.Second), boxes: make(map[address]*box), addrs: make(map[netip.Addr]load)},
	}
	o.Hub.Declare(Protocol)
	return h, nil
}

// Serve serves a request, whose path is without the adapter's own.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, d Door) {
	key, what, nested := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if !nested {
		key, what = "peerjs", key
	}
	switch {
	case !nested && (what == "" || what == "peerjs") && gorilla.IsWebSocketUpgrade(r):
		h.connect(w, r, d)
	case d.Share(w, "GET"):
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
func (h *Handler) connect(w http.ResponseWriter, r *http.Request, d Door) {
	leave, err := d.Enter()
	if err != nil {
		d.Refuse(w, err)
		return
	}
	query := r.URL.Query()
	id, key, token := query.Get("id"), query.Get("key"), query.Get("token")
	v, err := d.Judge(key, token)
	s := &session{handler: h, quoted: quote(id), token: sha256.Sum256([]byte(token)), resumes: !d.Shared(token)}
	switch {
	case errors.Is(err, signal.ErrOrigin):
		leave()
		d.Refuse(w, err)
		return
	case err != nil:
		s.refusal = []byte(invalidKeyFrame)
	case id == "" || key == "" || token == "":
		h.hub.Refuse(signal.ErrBadMessage)
		s.refusal = failure(msgParameters)
	default:
		var ok bool
		if s.address, ok = h.addressOf(v, key, id); !ok {
			h.hub.Refuse(signal.ErrBadName)
			s.refusal = []byte(invalidKeyFrame)
		}
	}
	service := websocket.Service{
		Hub: h.hub, Logger: h.log,
		Profile: signal.Profile{
			Protocol: Protocol, Space: cmp.Or(s.space, Protocol), ByID: true, Pairs: -1, Expires: true, Encode: encode,
		},
		Session: func(c *signal.Client) websocket.Session {
			s.client = c
			return s
		},
	}
	service.Serve(w, r, v, func() {
		h.forget(s)
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
func (h *Handler) servePeers(w http.ResponseWriter, d Door, key string) {
	if !h.hub.Limits().Discovery {
		http.Error(w, "Unauthorized", http.StatusUnauthorized) // as PeerServer says
		return
	}
	v, err := d.Judge(key)
	if err != nil {
		d.Refuse(w, err)
		return
	}
	ids := []string{}
	if at, ok := h.addressOf(v, key, ""); ok {
		h.mu.Lock()
		for id := range h.sessions[at.space] {
			ids = append(ids, id)
		}
		h.mu.Unlock()
	}
	reply(w, ids)
}

// holder returns the connection that holds an id.
func (h *Handler) holder(a address) *session {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sessions[a.space][a.id]
}

// settle notes that a connection holds its id.
func (h *Handler) settle(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	app := h.sessions[s.space]
	if app == nil {
		app = make(map[string]*session)
		h.sessions[s.space] = app
	}
	app[s.id] = s
}

// forget notes that a connection has gone.
func (h *Handler) forget(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	app := h.sessions[s.space]
	if app[s.id] == s {
		delete(app, s.id)
	}
	if len(app) == 0 {
		delete(h.sessions, s.space)
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
