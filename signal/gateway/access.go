package gateway

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"strings"

	gorilla "github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"icebox/signal"
)

// Mount describes how a protocol gets its requests on one listener.
type Mount struct {
	Route  string   // the metric label of its requests
	Path   string   // the prefix that is removed from a request's path; without a final slash
	Routes []string // the protocol gets requests for these paths and all paths below them; each begins with Path
	// Match reports whether the protocol gets a request. If it is nil, Routes decide.
	Match func(*http.Request) bool
	// Serve is called for each request. Path has been removed from the path of its URL, which is then "" or begins with a slash.
	Serve func(http.ResponseWriter, *http.Request, *Access)
	// Bearer returns the user of one of the protocol's own tokens, whose bearer gets ICE servers on this listener. The user is ""
	// for a client that is known only by its address. If Bearer is nil, the protocol issues no tokens.
	Bearer func(token string) (user string, ok bool)
}

// mount is a Mount with its request counter.
type mount struct {
	Mount
	requests prometheus.Counter
}

// mount returns the first mount that matches a request, or nil.
func (l *listener) mount(r *http.Request) *mount {
	for i := range l.mounts {
		if l.mounts[i].matches(r) {
			return &l.mounts[i]
		}
	}
	return nil
}

func (m *Mount) matches(r *http.Request) bool {
	if m.Match != nil {
		return m.Match(r)
	}
	for _, route := range m.Routes {
		if rest, ok := strings.CutPrefix(r.URL.Path, route); ok && (rest == "" || rest[0] == '/') {
			return true
		}
	}
	return false
}

// WebSocketPath reports whether a request is for a WebSocket of the classic or native protocol: at /ws, or an upgrade at the root.
func WebSocketPath(r *http.Request) bool {
	return r.URL.Path == "/ws" || r.URL.Path == "/" && gorilla.IsWebSocketUpgrade(r)
}

// mountUser returns the user of a token of any mounted protocol.
func (l *listener) mountUser(c caller, token string) (user string, ok bool) {
	for _, m := range l.mounts {
		if m.Bearer == nil {
			continue
		}
		if user, ok := m.Bearer(token); ok {
			return cmp.Or(user, "@"+l.addrKey(c).String()), true
		}
	}
	return "", false
}

// serve hands a request to the protocol.
func (m *mount) serve(l *listener, w http.ResponseWriter, r *http.Request) {
	m.requests.Inc()
	rules := l.rules.Load()
	d := &Access{listener: l, rules: rules, caller: identifyCaller(r, l.Listener, rules.limits.TrustedProxies), request: r}
	if m.Path == "" {
		m.Serve(w, r, d)
		return
	}
	below := new(http.Request)
	*below = *r
	below.URL = new(url.URL)
	*below.URL = *r.URL
	below.URL.Path = strings.TrimPrefix(r.URL.Path, m.Path)
	below.URL.RawPath = strings.TrimPrefix(r.URL.RawPath, m.Path)
	m.Serve(w, below, d)
}

// Access makes the decisions about one request while a protocol serves it. Its errors wrap a [signal.Error]. Errors of Admit and
// Authorize have already been counted; the protocol writes them with WriteError or in its own format.
type Access struct {
	listener *listener
	rules    *rules
	caller   caller
	request  *http.Request
}

// Caller returns the caller without checking any secret, so the Visitor has neither a key nor a grant.
func (d *Access) Caller() signal.Visitor {
	return signal.Visitor{Addr: d.caller.addr, Host: d.caller.host, Base: d.caller.base()}
}

// Authorize decides whether the caller may sign in. It checks the origin of the page and, unless access is open, an API key or a token.
// The request carries these as a WebSocket request does (?key=, ?token=, Bearer, Basic), or the protocol passes them as secrets. The
// error is signal.ErrOrigin, ErrTokenMissing or ErrTokenInvalid.
func (d *Access) Authorize(secrets ...string) (signal.Visitor, error) {
	if !d.rules.admitsOrigin(d.request.Header["Origin"], d.caller) {
		return d.Caller(), d.refuse(badOrigin)
	}
	v, why, ok := d.listener.visitor(d.request, d.caller, d.rules, false, secrets...)
	if !ok {
		return d.Caller(), d.refuse(why)
	}
	return v, nil
}

// AdmitWebSocket decides whether a WebSocket may connect, and counts the connection until release is called. If it may not, AdmitWebSocket
// responds to the request and returns false. later is true if the client may still show its secret in its first message.
func (d *Access) AdmitWebSocket(w http.ResponseWriter, later bool) (v signal.Visitor, release func(), ok bool) {
	if why, ok := d.listener.mayConnect(d.request, d.caller, d.rules); !ok {
		d.refuseSignIn(w, why)
		return v, nil, false
	}
	return d.admitSignIn(w, later)
}

// AdmitHello is AdmitWebSocket for a request that signs in without a WebSocket. Its secret may be in its body.
func (d *Access) AdmitHello(w http.ResponseWriter) (v signal.Visitor, release func(), ok bool) {
	if !d.rules.admitsOrigin(d.request.Header["Origin"], d.caller) {
		d.refuseSignIn(w, badOrigin)
		return v, nil, false
	}
	return d.admitSignIn(w, true)
}

func (d *Access) admitSignIn(w http.ResponseWriter, later bool) (v signal.Visitor, release func(), ok bool) {
	v, why, ok := d.listener.visitor(d.request, d.caller, d.rules, later)
	if ok {
		why, ok = d.listener.conns.addConn(d.listener.addrKey(d.caller), &d.rules.limits)
	}
	if !ok {
		d.refuseSignIn(w, why)
		return v, nil, false
	}
	return v, func() { d.listener.conns.removeConn(d.listener.addrKey(d.caller)) }, true
}

func (d *Access) refuseSignIn(w http.ResponseWriter, why reason) {
	d.listener.countRefusal(d.caller, why)
	writeRefusal(w, why)
}

// RefuseMethod responds to a request whose method is not the allowed one.
func (d *Access) RefuseMethod(w http.ResponseWriter, allowed string) {
	w.Header().Set("Allow", allowed)
	d.listener.countRefusal(d.caller, badMethod)
	http.Error(w, "use "+allowed, http.StatusMethodNotAllowed)
}

// Admit counts a connection until release is called, once. It checks no secret. The error is signal.ErrConnLimit or ErrRestarting.
func (d *Access) Admit() (release func(), err error) {
	if d.listener.opts.Hub.Draining() {
		return nil, d.refuse(restarting)
	}
	addrKey := d.listener.addrKey(d.caller)
	if why, ok := d.listener.conns.addConn(addrKey, &d.rules.limits); !ok {
		return nil, d.refuse(why)
	}
	return func() { d.listener.conns.removeConn(addrKey) }, nil
}

// IsAPIKey reports whether a secret is an API key, which many clients may share.
func (d *Access) IsAPIKey(secret string) bool {
	_, ok := d.rules.key(secret)
	return ok
}

// AllowCORS sets the headers that let pages of admitted origins read the response (CORS). If the request is a preflight
// request, AllowCORS responds to it and returns true. The caller then must not write a response. methods is a list such as
// "GET, POST".
func (d *Access) AllowCORS(w http.ResponseWriter, methods string) (preflight bool) {
	return d.listener.allowPages(w, d.request, d.caller, d.rules, methods)
}

// WriteError responds to a request in plain text. For errors of Authorize and Admit, the status depends on the reason. For
// any other error it is 503.
func (d *Access) WriteError(w http.ResponseWriter, err error) {
	var r *refusal
	if !errors.As(err, &r) {
		r = &refusal{reason: restarting}
	}
	writeRefusal(w, r.reason)
}

func (d *Access) refuse(why reason) error {
	d.listener.countRefusal(d.caller, why)
	return &refusal{why}
}

// refusal is a reason as an error.
type refusal struct{ reason reason }

func (r *refusal) Error() string { return cmp.Or(refusals[r.reason].text, r.reason.String()) }

func (r *refusal) Unwrap() error {
	switch r.reason {
	case badOrigin:
		return signal.ErrOrigin
	case noKey, noToken:
		return signal.ErrTokenMissing
	case badKey, badToken:
		return signal.ErrTokenInvalid
	case connsPerAddr, connsTotal:
		return signal.ErrConnLimit
	default:
		return signal.ErrRestarting
	}
}
