package native

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"icebox/signal"
	"icebox/signal/protocol/native/wire"
	"icebox/signal/rawjson"
	"icebox/signal/sse"
)

// Paths of the transport without WebSockets. The gateway has judged the caller's origin.
const (
	HelloPath  = "/v1/hello"
	EventsPath = "/v1/events"
	SendPath   = "/v1/send"
)

const (
	maxPosts    = 4   // of one session that are served at a time: each may keep as much as a message has
	maxElements = 256 // messages in a POST
)

// statuses of errors in answer to a POST or a request for a stream; others are bad requests.
var statuses = map[*signal.Error]int{
	signal.ErrTokenMissing: http.StatusUnauthorized, signal.ErrTokenInvalid: http.StatusUnauthorized,
	signal.ErrTokenExpired: http.StatusUnauthorized, signal.ErrResync: http.StatusUnauthorized,
	signal.ErrNameNotAllowed: http.StatusForbidden, signal.ErrNameTaken: http.StatusConflict,
	signal.ErrUnavailable: http.StatusServiceUnavailable, signal.ErrRestarting: http.StatusServiceUnavailable,
	signal.ErrTooMany: http.StatusTooManyRequests, signal.ErrTooLarge: http.StatusRequestEntityTooLarge,
}

// ServeEvents serves a request of the transport without WebSockets: one whose path is HelloPath, EventsPath or SendPath. A client that
// shows a session's secret needs nothing else.
func (h *Handler) ServeEvents(w http.ResponseWriter, r *http.Request, a Access) {
	w.Header().Set("Cache-Control", "no-store")
	if preflight := a.AllowCORS(w, "GET, POST"); preflight {
		return
	}
	method := http.MethodPost
	if r.URL.Path == EventsPath {
		method = http.MethodGet
	}
	switch {
	case r.Method != method:
		a.RefuseMethod(w, method)
	case r.URL.Path == EventsPath:
		h.serveStream(w, r)
	case r.URL.Path == SendPath:
		h.serveSend(w, r)
	default:
		if v, release, ok := a.AdmitHello(w); ok {
			h.serveHello(w, r, v, release)
		}
	}
}

// IsEventsPath reports whether a request is for the transport without WebSockets.
func IsEventsPath(r *http.Request) bool {
	return r.URL.Path == HelloPath || r.URL.Path == EventsPath || r.URL.Path == SendPath
}

// serveHello answers a POST that begins a session, or asks whether one can be resumed. The slot is given back by the
// session, or here if there is none.
func (h *Handler) serveHello(w http.ResponseWriter, r *http.Request, v signal.Visitor, releaseConn func()) {
	released := false
	defer func() {
		if !released {
			releaseConn()
		}
	}()
	done, err := h.hub.Track()
	if err != nil {
		h.writeFailure(w, &wire.Request{}, signal.ErrRestarting)
		return
	}
	defer done()
	req, refused := h.readHello(w, r)
	if refused == nil && req.Resume != "" {
		m, err := h.checkResume(&req)
		if err == nil {
			reply(w, http.StatusOK, m)
			return
		}
		refused = err
	}
	if refused != nil {
		h.writeFailure(w, &req, refused)
		return
	}
	// Not the request's context: who hangs up now has a session that ends by itself.
	n, refused := h.connectClient(h.hub.DoneContext(), v, &req)
	var welcome *wire.Message
	if refused == nil {
		welcome, refused = h.signInSession(h.hub.DoneContext(), n, releaseConn)
	}
	if refused != nil {
		h.writeFailure(w, &req, refused)
		return
	}
	released = true
	s := n.session
	s.mu.Lock()
	if s.transport == nil && !s.closed {
		s.startResumeTimer()
	}
	s.mu.Unlock()
	reply(w, http.StatusOK, welcome)
}

func (h *Handler) readHello(w http.ResponseWriter, r *http.Request) (wire.Request, *signal.Error) {
	body, err := h.readBody(w, r)
	if err != nil {
		return wire.Request{}, err
	}
	req, ok := wire.Decode(body)
	switch {
	case !ok || req.Type != wire.Hello:
		return req, signal.ErrBadMessage
	case req.V != wire.Version:
		return req, signal.ErrVersion
	}
	return req, nil
}

// checkResume says where a session stands, which its event stream then goes on from.
func (h *Handler) checkResume(r *wire.Request) (*wire.Message, *signal.Error) {
	s, ok := h.findSession(r.Resume)
	if !ok {
		return nil, signal.ErrResync
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.replay.after(r.Seq); !ok || s.closed {
		return nil, signal.ErrResync
	}
	return s.resumedMessage(), nil
}

// readBody reads a request, which may be as large as one message.
func (h *Handler) readBody(w http.ResponseWriter, r *http.Request) ([]byte, *signal.Error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.hub.Limits().MaxMessage))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, signal.ErrTooLarge
	case err != nil || !utf8.Valid(body):
		return nil, signal.ErrBadMessage
	}
	return body, nil
}

// serveSend takes messages of a session.
func (h *Handler) serveSend(w http.ResponseWriter, r *http.Request) {
	s, ok := h.findSession(bearer(r))
	if !ok {
		h.writeFailure(w, &wire.Request{}, signal.ErrResync)
		return
	}
	defer s.activePosts.Add(-1)
	if s.activePosts.Add(1) > maxPosts {
		w.Header().Set("Connection", "close") // or the answer waits for a body that nobody wants
		h.writeFailure(w, &wire.Request{}, signal.ErrTooMany)
		return
	}
	body, refused := h.readBody(w, r)
	if refused != nil {
		h.writeFailure(w, &wire.Request{}, refused)
		return
	}
	messages := [][]byte{body}
	if b := bytes.TrimLeft(body, " \t\r\n"); len(b) > 0 && b[0] == '[' {
		if messages, ok = rawjson.Elements(body); !ok || len(messages) > maxElements {
			h.writeFailure(w, &wire.Request{}, signal.ErrBadMessage)
			return
		}
	}
	s.markConfirmed()
	for _, m := range messages {
		s.markAlive()
		s.receivePosted(m)
	}
	reply(w, http.StatusOK, &wire.Message{Type: wire.Ack, Ack: s.received.Load()})
}

// receivePosted takes a message that came in a POST, when it may come.
func (s *session) receivePosted(m []byte) {
	wait, tooFast := s.countMessage(len(m))
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-s.client.Done():
		}
	}
	if tooFast {
		s.sendMessage(errorMessage(&wire.Request{}, s.countRefusal(signal.ErrRateLimited)))
	}
	if slow := s.handleMessage(nil, m); slow != nil {
		slow()
	}
}

// serveStream serves a session's event stream for as long as it lasts.
func (h *Handler) serveStream(w http.ResponseWriter, r *http.Request) {
	t := stream{sse.New(w)}
	done, err := h.hub.Track()
	if err != nil {
		h.writeFailure(w, &wire.Request{}, signal.ErrRestarting)
		return
	}
	defer done()
	stop := context.AfterFunc(h.hub.DoneContext(), t.Abort)
	defer stop()
	secret, seq := bearer(r), lastEvent(r)
	// The header says OK before the session is attached, whose first message follows it; so what can fail is
	// looked at beforehand.
	if _, refused := h.checkResume(&wire.Request{Resume: secret, Seq: seq}); refused != nil {
		h.metrics.resumes[unknown].Inc()
		h.writeFailure(w, &wire.Request{}, refused)
		return
	}
	t.Start()
	h.metrics.streams.Inc()
	defer h.metrics.streams.Dec()
	defer t.Finish()
	s, refused := h.resume(t, secret, seq)
	if refused != nil {
		_ = t.Write(errorMessage(&wire.Request{}, refused).Encode(), time.Now().Add(byeWait))
		return
	}
	t.keepAlive(r, s.markAlive)
	s.detach(t)
}

func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// lastEvent is the number of the last message that the client has.
func lastEvent(r *http.Request) uint64 {
	said := r.Header.Get("Last-Event-ID")
	if said == "" {
		said = r.URL.Query().Get("seq")
	}
	n, _ := strconv.ParseUint(said, 10, 53)
	return n
}

func (h *Handler) writeFailure(w http.ResponseWriter, r *wire.Request, e *signal.Error) {
	h.hub.CountRefusal(e)
	status, ok := statuses[e]
	if !ok {
		status = http.StatusBadRequest
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "10")
	}
	reply(w, status, errorMessage(r, e))
}

func reply(w http.ResponseWriter, status int, m *wire.Message) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(m.Encode()) // who hung up doesn't need it
}
