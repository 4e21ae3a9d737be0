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

// Protocol is the name of this protocol in metrics and logs, and the prefix of the namespaces that hold its clients' ids.
const Protocol = "peerjs"

// maxKey is the greatest length of a key in bytes while access is open.
const maxKey = 64

// Options configure a Handler. They cannot be changed afterwards.
type Options struct {
	Hub        *signal.Hub
	Logger     *slog.Logger          // nil discards all records
	Registerer prometheus.Registerer // nil leaves the metrics unregistered

	// ExpireAfter is how long messages wait for a recipient that is not connected. 0 means 5 s.
	ExpireAfter time.Duration
}

// Access makes the gateway's decisions about one request. Its errors wrap a signal.Error.
type Access interface {
	// Admit counts a connection until release is called.
	Admit() (release func(), err error)
	// Authorize decides whether a client that sent one of these secrets may sign in. The error wraps signal.ErrOrigin if the
	// page's origin is not admitted.
	Authorize(secrets ...string) (signal.Visitor, error)
	// IsAPIKey reports whether a secret is an API key, which many clients share.
	IsAPIKey(secret string) bool
	// AllowCORS lets pages of admitted origins read the response. It returns true if the request was a preflight request, to
	// which it has then responded.
	AllowCORS(w http.ResponseWriter, methods string) (preflight bool)
	// WriteError responds to the request with an error of Admit or Authorize.
	WriteError(w http.ResponseWriter, err error)
}

// Handler serves PeerJS clients. Its methods are safe for concurrent use.
type Handler struct {
	hub     *signal.Hub
	log     *slog.Logger
	offline offlineStore

	mu    sync.Mutex
	peers map[string]map[string]*peer // connections that hold an id, by namespace and id
}

// New returns a Handler. It fails if there is no hub, if ExpireAfter is negative, or if a metric is already registered.
func New(o Options) (*Handler, error) {
	if o.Hub == nil || o.ExpireAfter < 0 {
		return nil, errors.New("create PeerJS handler: the hub is missing or ExpireAfter is negative")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("create PeerJS handler: %w", err)
	}
	h := &Handler{
		hub: o.Hub, log: o.Logger, peers: make(map[string]map[string]*peer),
		offline: offlineStore{
			hub: o.Hub, metrics: m, expireAfter: cmp.Or(o.ExpireAfter, 5*time.Second),
			queues: make(map[fullName]*recipientQueue), addrs: make(map[netip.Addr]usage),
		},
	}
	o.Hub.InitMetrics(Protocol)
	return h, nil
}

// Serve serves a request. The path at which the protocol is mounted has been removed from the request's path.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, a Access) {
	key, resource, nested := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if !nested {
		key, resource = "peerjs", key
	}
	switch {
	case !nested && (resource == "" || resource == "peerjs") && gorilla.IsWebSocketUpgrade(r):
		h.serveWebSocket(w, r, a)
	case a.AllowCORS(w, "GET"):
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, OPTIONS")
		http.Error(w, "use GET", http.StatusMethodNotAllowed)
	case resource == "id":
		w.Header().Set("Content-Type", "text/html; charset=utf-8") // PeerServer's content type
		w.Header().Set("Cache-Control", "no-store")
		_, _ = fmt.Fprint(w, freshID())
	case resource == "peers":
		h.servePeers(w, a, key)
	case !nested && resource == "":
		writeJSON(w, map[string]string{"name": "PeerJS Server", "description": "icebox speaks the protocol of PeerJS clients here"})
	default:
		http.NotFound(w, r)
	}
}

// serveWebSocket serves a WebSocket. PeerJS shows no reason for a failed handshake. So if PeerJS's protocol has a message
// for a refusal, the server sends that message after the handshake. It counts a refusal before it sends it.
func (h *Handler) serveWebSocket(w http.ResponseWriter, r *http.Request, a Access) {
	release, err := a.Admit()
	if err != nil {
		a.WriteError(w, err)
		return
	}
	query := r.URL.Query()
	id, key, token := query.Get("id"), query.Get("key"), query.Get("token")
	v, err := a.Authorize(key, token)
	p := &peer{handler: h, quoted: quote(id), token: sha256.Sum256([]byte(token)), resumes: !a.IsAPIKey(token)}
	switch {
	case errors.Is(err, signal.ErrOrigin):
		release()
		a.WriteError(w, err)
		return
	case err != nil:
		p.refusal = []byte(invalidKeyFrame)
	case id == "" || key == "" || token == "":
		h.hub.CountRefusal(signal.ErrBadMessage)
		p.refusal = errorFrame(msgParameters)
	default:
		var ok bool
		if p.fullName, ok = h.fullNameOf(v, key, id); !ok {
			h.hub.CountRefusal(signal.ErrBadName)
			p.refusal = []byte(invalidKeyFrame)
		}
	}
	service := websocket.Service{
		Hub: h.hub, Logger: h.log,
		Profile: signal.Profile{
			Protocol: Protocol, Namespace: cmp.Or(p.namespace, Protocol), ByID: true, Pairs: -1, Expires: true, Encode: encode,
		},
		NewHandler: func(c *signal.Client) websocket.MessageHandler {
			p.client = c
			return p
		},
	}
	service.Serve(w, r, v, func() {
		h.unregister(p)
		release()
	})
}

// fullNameOf returns the full name of a client that connects with a key and an id, and reports whether the key may name an
// application.
func (h *Handler) fullNameOf(v signal.Visitor, key, id string) (fullName, bool) {
	switch {
	case v.Key != "":
		return fullName{Protocol + "\x00key\x00" + v.Key, id}, true
	case h.hub.Limits().Access == signal.ByToken:
		return fullName{Protocol + "\x00jwt", id}, true
	default:
		return fullName{Protocol + "\x00app\x00" + key, id}, len(key) <= maxKey && signal.ValidName(key)
	}
}

// servePeers lists the ids of an application's connected clients, if discovery is on.
func (h *Handler) servePeers(w http.ResponseWriter, a Access, key string) {
	if !h.hub.Limits().Discovery {
		http.Error(w, "Unauthorized", http.StatusUnauthorized) // PeerServer's answer
		return
	}
	v, err := a.Authorize(key)
	if err != nil {
		a.WriteError(w, err)
		return
	}
	ids := []string{}
	if at, ok := h.fullNameOf(v, key, ""); ok {
		h.mu.Lock()
		for id := range h.peers[at.namespace] {
			ids = append(ids, id)
		}
		h.mu.Unlock()
	}
	writeJSON(w, ids)
}

// peerAt returns the connection that holds an id, or nil.
func (h *Handler) peerAt(n fullName) *peer {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.peers[n.namespace][n.id]
}

// register records that a connection holds its id. It replaces an older connection.
func (h *Handler) register(p *peer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	app := h.peers[p.namespace]
	if app == nil {
		app = make(map[string]*peer)
		h.peers[p.namespace] = app
	}
	app[p.id] = p
}

// unregister removes a connection that has ended, unless a newer one holds its id.
func (h *Handler) unregister(p *peer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	app := h.peers[p.namespace]
	if app[p.id] == p {
		delete(app, p.id)
	}
	if len(app) == 0 {
		delete(h.peers, p.namespace)
	}
}

// freshID returns a random UUID (RFC 9562 section 5.4), as PeerServer does.
func freshID() string {
	var u [16]byte
	_, _ = rand.Read(u[:]) // documented never to fail
	u[6], u[8] = u[6]&0x0F|0x40, u[8]&0x3F|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

func writeJSON(w http.ResponseWriter, v any) {
	b, _ := json.Marshal(v) // cannot fail for strings
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(b) // fails only if the client has disconnected
}
