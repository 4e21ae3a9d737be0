package pocketbase

import (
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"icebox/signal"
	"icebox/signal/rate"
)

const (
	maxRates = 1 << 16 // addresses whose requests are counted
	// requestUnit is how many bytes of a request count as another one against the rate.
	requestUnit = 16 << 10
	sharers     = 4 // clients at one address that may all send as fast as one client may

	maxSignIn    = 4 << 10  // bytes of a request
	maxCandidate = 16 << 10 // bytes of a request

	apiPath = "/api/"
	records = "records"
	methods = "GET, POST, PATCH, DELETE"
)

// request is a request and its answer. Nothing in it looks at the request's context: the SDK cuts off requests whose work is wanted all
// the same.
type request struct {
	*Handler
	w       http.ResponseWriter
	r       *http.Request
	access  Access
	visitor signal.Visitor
	id      string // of the record that the path names
}

// action answers a request: with a body, or with none.
type action func(*request) (body []byte, refused *problem)

// actions are by path, behind that of the API, and by method. An asterisk is a record's ID.
var actions = map[string]map[string]action{
	"realtime": {http.MethodGet: (*request).stream, http.MethodPost: (*request).subscribe},

	"collections/" + users + "/auth-with-password": {http.MethodPost: (*request).signIn},
	"collections/" + users + "/auth-refresh":       {http.MethodPost: (*request).refresh},

	"collections/" + iceServers + "/" + records: {http.MethodGet: (*request).listServers},
	"collections/" + calls + "/" + records:      {http.MethodPost: (*request).createCall},
	"collections/" + calls + "/" + records + "/*": {
		http.MethodGet: (*request).readCall, http.MethodPatch: (*request).updateCall, http.MethodDelete: (*request).deleteCall,
	},
	"collections/" + offerCandidates + "/" + records:  {http.MethodPost: func(x *request) ([]byte, *problem) { return x.createCandidate(offering) }},
	"collections/" + answerCandidates + "/" + records: {http.MethodPost: func(x *request) ([]byte, *problem) { return x.createCandidate(answering) }},
}

// Serve answers a request for a path below /api.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, d Access) {
	w.Header().Set("Cache-Control", "no-store")
	if d.AllowCORS(w, methods) {
		return
	}
	x := &request{Handler: h, w: w, r: r, access: d, visitor: d.Caller()}
	body, refused := x.act()
	switch {
	case refused != nil:
		x.writeProblem(refused)
	case body != nil:
		x.writeJSON(http.StatusOK, body)
	}
}

// act finds out what is asked for and does it. If it returns neither a body nor a problem the answer has been given.
func (x *request) act() ([]byte, *problem) {
	if wait := x.rates.Take(x.addrKey(), ratesOf(x.hub.Limits()), time.Now()); wait > 0 {
		return nil, waiting(problemRate, wait)
	}
	do, id, refused := find(x.r.Method, x.r.URL.Path)
	if refused != nil {
		if refused == problemMethod {
			x.w.Header().Set("Allow", methods)
		}
		return nil, refused
	}
	x.id = id
	return do(x)
}

// find returns the action of a request, and the ID of the record in its path.
func find(method, path string) (do action, id string, refused *problem) {
	path, ok := strings.CutPrefix(path, apiPath)
	if !ok {
		return nil, "", problemMissing
	}
	if parts := strings.Split(path, "/"); len(parts) == 4 && parts[2] == records {
		if id = parts[3]; !validID(id) {
			return nil, "", problemMissing
		}
		path = strings.Join(append(parts[:3:3], "*"), "/")
	}
	byMethod, ok := actions[path]
	if !ok {
		return nil, "", problemMissing
	}
	if do = byMethod[method]; do == nil {
		return nil, "", problemMethod
	}
	return do, id, nil
}

// ratesOf is how fast requests may come from an address.
func ratesOf(l *signal.Limits) rate.Rate {
	return rate.Rate{PerSecond: sharers * l.MessagesPerSecond, Burst: sharers * float64(l.MessageBurst)}
}

// addrKey is the address that limits count by.
func (x *request) addrKey() netip.Addr { return signal.AddrKey(x.visitor.Addr) }

func waiting(p *problem, wait time.Duration) *problem {
	n := *p
	n.wait = strconv.Itoa(max(1, int(math.Ceil(wait.Seconds()))))
	return &n
}

func (x *request) writeJSON(status int, body []byte) {
	x.w.Header().Set("Content-Type", "application/json")
	x.w.Header().Set("X-Content-Type-Options", "nosniff")
	x.w.WriteHeader(status)
	_, _ = x.w.Write(body) // who hung up doesn't need it
}

func (x *request) writeProblem(p *problem) {
	x.metrics.refused[p.reason].Inc()
	x.log.Debug("request refused", slog.Any("addr", x.visitor.Addr), slog.String("reason", p.reason.String()))
	if p.wait != "" {
		x.w.Header().Set("Retry-After", p.wait)
	}
	x.writeJSON(p.status, p.body(nil))
}

// read returns the request's body.
func (x *request) read(limit int64) ([]byte, *problem) {
	body, err := io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, limit))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, problemLarge
	case err != nil:
		return nil, problemBody
	}
	for range len(body) / requestUnit { // to be paid before the next one
		x.rates.Take(x.addrKey(), ratesOf(x.hub.Limits()), time.Now())
	}
	return body, nil
}

// requestToken returns the token that a request shows. The SDK sends nothing in front of it.
func (x *request) requestToken() string {
	token := x.r.Header.Get("Authorization")
	if scheme, rest, ok := strings.Cut(token, " "); ok && strings.EqualFold(scheme, "Bearer") {
		token = strings.TrimSpace(rest)
	}
	return token
}

// authenticate returns who has a token, as long as it is good.
func (h *Handler) authenticate(token string) (person, time.Time, *problem) {
	if token == "" {
		return person{}, time.Time{}, problemToken
	}
	p, until, err := h.signer.verify(token)
	if err != nil || !h.accounts.Load().isValid(p) {
		return person{}, time.Time{}, problemToken
	}
	return p, until, nil
}

// listServers lists what a page makes an RTCPeerConnection of that has no place for credentials.
func (x *request) listServers() ([]byte, *problem) {
	if _, _, refused := x.authenticate(x.requestToken()); refused != nil {
		return nil, refused
	}
	q := x.r.URL.Query()
	page, perPage := number(q.Get("page"), 1), number(q.Get("perPage"), 30)
	return iceRecords(x.stun(x.visitor.Host), page, perPage, time.Now()), nil
}

// number reads a parameter of 1 to 1000.
func number(text string, usual int) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return usual
	}
	return min(n, 1000)
}

func (x *request) createCall() ([]byte, *problem) {
	p, d, refused := x.description()
	if refused != nil {
		return nil, refused
	}
	return x.book.makeCall(p, x.addrKey(), d)
}

func (x *request) updateCall() ([]byte, *problem) {
	p, d, refused := x.description()
	if refused != nil {
		return nil, refused
	}
	return x.book.updateCall(p, x.id, d)
}

func (x *request) description() (p person, d descriptions, refused *problem) {
	p, body, refused := x.authorized(x.hub.Limits().MaxMessage)
	if refused != nil {
		return p, d, refused
	}
	d, ok := decodeCall(body)
	if !ok {
		return p, d, problemBody
	}
	return p, d, nil
}

// authorized returns who sends a request and what.
func (x *request) authorized(limit int64) (person, []byte, *problem) {
	p, _, refused := x.authenticate(x.requestToken())
	if refused != nil {
		return p, nil, refused
	}
	body, refused := x.read(limit)
	return p, body, refused
}

func (x *request) readCall() ([]byte, *problem) {
	p, _, refused := x.authenticate(x.requestToken())
	if refused != nil {
		return nil, refused
	}
	return x.book.readCall(p, x.id)
}

func (x *request) deleteCall() ([]byte, *problem) {
	p, _, refused := x.authenticate(x.requestToken())
	if refused != nil {
		return nil, refused
	}
	if refused := x.book.hangUp(p, x.id); refused != nil {
		return nil, refused
	}
	x.w.WriteHeader(http.StatusNoContent)
	return nil, nil
}

func (x *request) createCandidate(side int) ([]byte, *problem) {
	p, body, refused := x.authorized(maxCandidate)
	if refused != nil {
		return nil, refused
	}
	call, data, ok := decodeCandidate(body)
	if !ok {
		return nil, problemBody
	}
	return x.book.addCandidate(p, side, call, data)
}
