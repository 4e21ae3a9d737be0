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

// Mount is where a protocol gets its requests on one listener.
type Mount struct {
	Route  string   // the metric label of its requests
	Path   string   // what the protocol doesn't see of a request's path; no slash at its end
	Routes []string // the paths at which requests are the protocol's, with all below them; each begins with Path
	// Match reports whether a request is the protocol's, in place of Routes. nil: Routes decide.
	Match func(*http.Request) bool
	// Serve is called for each request, whose URL has a path below Path then: "" or one that begins with a slash.
	Serve func(http.ResponseWriter, *http.Request, *Access)
	// Bearer returns for whom the bearer of one of the adapter's own tokens may have ICE servers on this listener, "" for who is known by
	// address alone. nil: the adapter has no tokens.
	Bearer func(token string) (user string, ok bool)
}

// mount is a Mount with its counter.
type mount struct {
	Mount
	requests prometheus.Counter
}

// mount returns the mount that a request matches, or nil.
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

// WebSocketPath reports whether a request is for a WebSocket of icebox's own protocols: at /ws, or an upgrade at the root.
func WebSocketPath(r *http.Request) bool {
	return r.URL.Path == "/ws" || r.URL.Path == "/" && gorilla.IsWebSocketUpgrade(r)
}

// mountUser returns for whom the token of some adapter is.
func (l *listener) mountUser(c caller, token string) (user string, ok bool) {
	for _, m := range l.mounts {
		if m.Bearer == nil {
			continue
		}
		if user, ok := m.Bearer(token); ok {
			return cmp.Or(user, "@"+c.addrKey().String()), true
		}
	}
	return "", false
}

// serve hands a request to the adapter.
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

// Access is the way in for one request, for as long as an adapter serves it. Its errors are [signal.Error] inside; those of Admit and
// Authorize have been counted, and can be told by WriteError, or in the words of the adapter's protocol.
type Access struct {
	listener *listener
	rules    *rules
	caller   caller
	request  *http.Request
}

// Caller returns who asks, without a decision: there is neither key nor grant.
func (d *Access) Caller() signal.Visitor {
	return signal.Visitor{Addr: d.caller.addr, Host: d.caller.host, Base: d.caller.base()}
}

// Authorize decides whether the caller may sign in: by the origin of its page, and, unless access is open, by an API key or a token that
// the request shows as WebSockets do (?key=, ?token=, Bearer, Basic), or that is among the secrets, which the adapter has found where its
// protocol has them. The error is signal.ErrOrigin, ErrTokenMissing or ErrTokenInvalid.
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

// AdmitWebSocket decides whether a WebSocket's request may connect, and counts the connection until release is called. If not, it answers
// the request. A protocol whose clients may show their secret in their first message sets later.
func (d *Access) AdmitWebSocket(w http.ResponseWriter, later bool) (v signal.Visitor, release func(), ok bool) {
	if why, ok := d.listener.mayConnect(d.request, d.caller, d.rules); !ok {
		d.refuseSignIn(w, why)
		return v, nil, false
	}
	return d.admitSignIn(w, later)
}

// AdmitHello is AdmitWebSocket for a request that signs in without a WebSocket, by a secret that may be in its body.
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
		why, ok = d.listener.conns.addConn(d.caller.addrKey(), &d.rules.limits)
	}
	if !ok {
		d.refuseSignIn(w, why)
		return v, nil, false
	}
	return v, func() { d.listener.conns.removeConn(d.caller.addrKey()) }, true
}

func (d *Access) refuseSignIn(w http.ResponseWriter, why reason) {
	d.listener.countRefusal(d.caller, why)
	writeRefusal(w, why)
}

// RefuseMethod answers a request whose method is not the one that is allowed.
func (d *Access) RefuseMethod(w http.ResponseWriter, allowed string) {
	w.Header().Set("Allow", allowed)
	d.listener.countRefusal(d.caller, badMethod)
	http.Error(w, "use "+allowed, http.StatusMethodNotAllowed)
}

// Admit counts a connection in, until leave is called, once. The error is signal.ErrConnLimit or ErrRestarting. It judges nothing.
func (d *Access) Admit() (release func(), err error) {
	if d.listener.opts.Hub.Draining() {
		return nil, d.refuse(restarting)
	}
	addrKey := d.caller.addrKey()
	if why, ok := d.listener.conns.addConn(addrKey, &d.rules.limits); !ok {
		return nil, d.refuse(why)
	}
	return func() { d.listener.conns.removeConn(addrKey) }, nil
}

// IsAPIKey reports whether a secret is an API key, which many may know.
func (d *Access) IsAPIKey(secret string) bool {
	_, ok := d.rules.key(secret)
	return ok
}

// AllowCORS lets pages of admitted origins read the answer (CORS), and answers the question whether they may that browsers ask beforehand:
// then there is nothing left to do. Methods are a list such as "GET, POST".
func (d *Access) AllowCORS(w http.ResponseWriter, methods string) (preflight bool) {
	return d.listener.allowPages(w, d.request, d.caller, d.rules, methods)
}

// WriteError answers a request in plain text: what Authorize and Admit refused with its own status, everything else as if the server couldn't.
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

// refusal is a reason as the error that an adapter meets.
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
