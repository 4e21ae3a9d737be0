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

// The paths of the server-sent events transport.
const (
	HelloPath  = "/v1/hello"
	EventsPath = "/v1/events"
	SendPath   = "/v1/send"
)

const (
	// maxPosts is how many POSTs of one session are served at a time. Each of them may hold signal.Limits.MaxMessage bytes.
	maxPosts = 4
	// maxElements is how many messages one POST may have.
	maxElements = 256
)

// statuses are the HTTP statuses of errors. All others are 400 (Bad Request).
var statuses = map[*signal.Error]int{
	signal.ErrTokenMissing: http.StatusUnauthorized, signal.ErrTokenInvalid: http.StatusUnauthorized,
	signal.ErrTokenExpired: http.StatusUnauthorized, signal.ErrResync: http.StatusUnauthorized,
	signal.ErrNameNotAllowed: http.StatusForbidden, signal.ErrNameTaken: http.StatusConflict,
	signal.ErrUnavailable: http.StatusServiceUnavailable, signal.ErrRestarting: http.StatusServiceUnavailable,
	signal.ErrTooMany: http.StatusTooManyRequests, signal.ErrTooLarge: http.StatusRequestEntityTooLarge,
}

// ServeEvents serves a request of the server-sent events transport, whose path is HelloPath, EventsPath or SendPath. Only a
// request to HelloPath has to be admitted by a. The others are authenticated by the session's secret.
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

// IsEventsPath reports whether r is a request of the server-sent events transport.
func IsEventsPath(r *http.Request) bool {
	return r.URL.Path == HelloPath || r.URL.Path == EventsPath || r.URL.Path == SendPath
}

// serveHello responds to a POST that begins a session or asks whether one can be resumed. If a session begins, it calls
// releaseConn when it ends. Otherwise serveHello calls releaseConn.
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
	// This does not use the request's context. If the client closes the connection now, resumeTimer ends the session.
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

// readHello reads a hello from the body of a POST.
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

// checkResume returns the response to a hello that resumes a session, or ErrResync if the session cannot be resumed. It
// changes nothing: the client resumes by opening the event stream.
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

// readBody reads the body of a request, which may have as many bytes as one message.
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

// serveSend handles a POST with messages of a session. It responds when all of them have been handled.
func (h *Handler) serveSend(w http.ResponseWriter, r *http.Request) {
	s, ok := h.findSession(bearer(r))
	if !ok {
		h.writeFailure(w, &wire.Request{}, signal.ErrResync)
		return
	}
	defer s.activePosts.Add(-1)
	if s.activePosts.Add(1) > maxPosts {
		w.Header().Set("Connection", "close") // otherwise net/http reads the rest of the body before it responds
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

// receivePosted handles a message from a POST. A client that sends too fast has to wait here.
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

// serveStream serves a session's event stream and returns when the stream has ended.
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
	// The header (200 OK) goes out before the session is attached, because attaching writes the first event. After that the
	// status cannot change, so the common errors have to be found before.
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

// bearer returns the Bearer token of a request, or "".
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// lastEvent returns the sequence number of the last message that the client has received, 0 if it names none.
func lastEvent(r *http.Request) uint64 {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("seq")
	}
	seq, _ := strconv.ParseUint(text, 10, 53)
	return seq
}

// writeFailure responds with an error and counts the refusal.
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
	_, _ = w.Write(m.Encode()) // fails only if the client has closed the connection
}
