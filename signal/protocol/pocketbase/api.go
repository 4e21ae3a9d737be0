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
	maxRates       = 1 << 16  // addresses whose request rates are tracked at the same time
	requestUnit    = 16 << 10 // every full unit of a request's body, in bytes, counts as one more request
	addrRateFactor = 4        // an address may send this many times the rate of one client

	// Limits on the bodies of requests, in bytes. The other requests are limited by signal.Limits.MaxMessage.
	maxSignIn    = 4 << 10
	maxCandidate = 16 << 10

	apiPath = "/api/"
	records = "records"
	methods = "GET, POST, PATCH, DELETE"
)

// request is one HTTP request and its response. Only the event stream stops when the request's context ends. All other
// actions continue, because the SDK aborts requests that must still take effect; see the package comment.
type request struct {
	*Handler
	w       http.ResponseWriter
	r       *http.Request
	access  Access
	visitor signal.Visitor
	id      string // ID of the record in the path, or ""
}

// action serves a request. It returns the body of the response, or the problem to send to the client. If it returns
// neither, it has already written the response.
type action func(*request) (body []byte, refused *problem)

// actions maps a path below apiPath, then a method, to its action. An asterisk stands for the ID of a record.
var actions = map[string]map[string]action{
	"realtime": {http.MethodGet: (*request).stream, http.MethodPost: (*request).subscribe},

	"collections/" + users + "/auth-with-password": {http.MethodPost: (*request).signIn},
	"collections/" + users + "/auth-refresh":       {http.MethodPost: (*request).refresh},

	"collections/" + iceServers + "/" + records: {http.MethodGet: (*request).listServers},
	"collections/" + calls + "/" + records:      {http.MethodPost: (*request).createCall},
	"collections/" + calls + "/" + records + "/*": {
		http.MethodGet: (*request).readCall, http.MethodPatch: (*request).updateCall, http.MethodDelete: (*request).deleteCall,
	},
	"collections/" + offerCandidates + "/" + records:  {http.MethodPost: func(req *request) ([]byte, *problem) { return req.createCandidate(offering) }},
	"collections/" + answerCandidates + "/" + records: {http.MethodPost: func(req *request) ([]byte, *problem) { return req.createCandidate(answering) }},
}

// Serve serves a request whose path begins with /api/. It blocks until the response is complete; for an event stream, until
// the stream ends.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, a Access) {
	w.Header().Set("Cache-Control", "no-store")
	if a.AllowCORS(w, methods) {
		return
	}
	req := &request{Handler: h, w: w, r: r, access: a, visitor: a.Caller()}
	body, refused := req.handle()
	switch {
	case refused != nil:
		req.writeProblem(refused)
	case body != nil:
		req.writeJSON(http.StatusOK, body)
	}
}

// handle checks the request rate of the client's address, then runs the action. Its results are those of an action.
func (req *request) handle() ([]byte, *problem) {
	if wait := req.rates.TakeToken(req.addrKey(), ratesOf(req.hub.Limits()), time.Now()); wait > 0 {
		return nil, withRetryAfter(problemTooFast, wait)
	}
	do, id, refused := findAction(req.r.Method, req.r.URL.Path)
	if refused != nil {
		if refused == problemBadMethod {
			req.w.Header().Set("Allow", methods)
		}
		return nil, refused
	}
	req.id = id
	return do(req)
}

// findAction returns the action for a method and path, and the ID of the record in the path. The ID is "" if the path names
// no record.
func findAction(method, path string) (do action, id string, refused *problem) {
	path, ok := strings.CutPrefix(path, apiPath)
	if !ok {
		return nil, "", problemNotFound
	}
	if parts := strings.Split(path, "/"); len(parts) == 4 && parts[2] == records {
		if id = parts[3]; !validID(id) {
			return nil, "", problemNotFound
		}
		path = strings.Join(append(parts[:3:3], "*"), "/")
	}
	byMethod, ok := actions[path]
	if !ok {
		return nil, "", problemNotFound
	}
	if do = byMethod[method]; do == nil {
		return nil, "", problemBadMethod
	}
	return do, id, nil
}

// ratesOf returns the rate limit for the requests of one address.
func ratesOf(l *signal.Limits) rate.Rate {
	return rate.Rate{PerSecond: addrRateFactor * l.MessagesPerSecond, Burst: addrRateFactor * float64(l.MessageBurst)}
}

// addrKey returns the client's address as the key for limits.
func (req *request) addrKey() netip.Addr { return req.hub.AddrKey(req.visitor.Addr) }

// withRetryAfter returns a copy of the problem that asks the client to wait. The wait is rounded up to whole seconds.
func withRetryAfter(p *problem, wait time.Duration) *problem {
	n := *p
	n.retryAfter = strconv.Itoa(max(1, int(math.Ceil(wait.Seconds()))))
	return &n
}

func (req *request) writeJSON(status int, body []byte) {
	req.w.Header().Set("Content-Type", "application/json")
	req.w.Header().Set("X-Content-Type-Options", "nosniff")
	req.w.WriteHeader(status)
	_, _ = req.w.Write(body) // fails only if the client has disconnected
}

func (req *request) writeProblem(p *problem) {
	req.metrics.refused[p.reason].Inc()
	req.log.Debug("request refused", slog.Any("addr", req.visitor.Addr), slog.String("reason", p.reason.String()))
	if p.retryAfter != "" {
		req.w.Header().Set("Retry-After", p.retryAfter)
	}
	req.writeJSON(p.status, p.body(nil))
}

// read returns the request's body, which may have up to limit bytes. After it has read a large body, it counts the body as
// further requests, which delays later requests from the address.
func (req *request) read(limit int64) ([]byte, *problem) {
	body, err := io.ReadAll(http.MaxBytesReader(req.w, req.r.Body, limit))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, problemTooLarge
	case err != nil:
		return nil, problemBadRequest
	}
	for range len(body) / requestUnit {
		req.rates.TakeToken(req.addrKey(), ratesOf(req.hub.Limits()), time.Now())
	}
	return body, nil
}

// requestToken returns the token in the Authorization header, or "". The SDK sends the token alone; other clients send
// "Bearer" before it.
func (req *request) requestToken() string {
	token := req.r.Header.Get("Authorization")
	if scheme, rest, ok := strings.Cut(token, " "); ok && strings.EqualFold(scheme, "Bearer") {
		token = strings.TrimSpace(rest)
	}
	return token
}

// authenticate returns the owner of a token and the token's expiry. It refuses a token that is missing, forged or expired,
// or whose account is no longer valid.
func (h *Handler) authenticate(token string) (person, time.Time, *problem) {
	if token == "" {
		return person{}, time.Time{}, problemNoToken
	}
	p, until, err := h.signer.verify(token)
	if err != nil || !h.accounts.Load().isValid(p) {
		return person{}, time.Time{}, problemNoToken
	}
	return p, until, nil
}

// listServers lists STUN servers only, because the records have no members for the credentials that a TURN server needs.
func (req *request) listServers() ([]byte, *problem) {
	if _, _, refused := req.authenticate(req.requestToken()); refused != nil {
		return nil, refused
	}
	q := req.r.URL.Query()
	page, perPage := positiveParam(q.Get("page"), 1), positiveParam(q.Get("perPage"), 30)
	return iceServersPage(req.stun(req.visitor.Host), page, perPage, time.Now()), nil
}

// positiveParam returns the number in a query parameter, at most 1000. If there is no positive number, it returns fallback.
func positiveParam(text string, fallback int) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return fallback
	}
	return min(n, 1000)
}

func (req *request) createCall() ([]byte, *problem) {
	p, d, refused := req.description()
	if refused != nil {
		return nil, refused
	}
	return req.book.createCall(p, req.addrKey(), d)
}

func (req *request) updateCall() ([]byte, *problem) {
	p, d, refused := req.description()
	if refused != nil {
		return nil, refused
	}
	return req.book.updateCall(p, req.id, d)
}

// description returns the sender of a request that writes a call, and the offer or answer in its body.
func (req *request) description() (p person, d descriptions, refused *problem) {
	p, body, refused := req.authorized(req.hub.Limits().MaxMessage)
	if refused != nil {
		return p, d, refused
	}
	d, ok := decodeCall(body)
	if !ok {
		return p, d, problemBadRequest
	}
	return p, d, nil
}

// authorized returns the sender of a request and its body, which may have up to limit bytes.
func (req *request) authorized(limit int64) (person, []byte, *problem) {
	p, _, refused := req.authenticate(req.requestToken())
	if refused != nil {
		return p, nil, refused
	}
	body, refused := req.read(limit)
	return p, body, refused
}

func (req *request) readCall() ([]byte, *problem) {
	p, _, refused := req.authenticate(req.requestToken())
	if refused != nil {
		return nil, refused
	}
	return req.book.readCall(p, req.id)
}

func (req *request) deleteCall() ([]byte, *problem) {
	p, _, refused := req.authenticate(req.requestToken())
	if refused != nil {
		return nil, refused
	}
	if refused := req.book.hangUp(p, req.id); refused != nil {
		return nil, refused
	}
	req.w.WriteHeader(http.StatusNoContent)
	return nil, nil
}

func (req *request) createCandidate(side int) ([]byte, *problem) {
	p, body, refused := req.authorized(maxCandidate)
	if refused != nil {
		return nil, refused
	}
	call, data, ok := decodeCandidate(body)
	if !ok {
		return nil, problemBadRequest
	}
	return req.book.addCandidate(p, side, call, data)
}
