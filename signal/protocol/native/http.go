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

// ServeHello answers a POST that begins a session, or asks whether one can be resumed. The slot is given back by the
// session, or here if there is none.
func (h *Handler) ServeHello(w http.ResponseWriter, r *http.Request, v signal.Visitor, slot func()) {
	taken := false
	defer func() {
		if !taken {
			slot()
		}
	}()
	done, err := h.hub.Attend()
	if err != nil {
		h.fail(w, &wire.Request{}, signal.ErrRestarting)
		return
	}
	defer done()
	req, told := h.readHello(w, r)
	if told == nil && req.Resume != "" {
		m, err := h.standing(&req)
		if err == nil {
			reply(w, http.StatusOK, m)
			return
		}
		told = err
	}
	if told != nil {
		h.fail(w, &req, told)
		return
	}
	// Not the request's context: who hangs up now has a session that ends by itself.
	n, told := h.connect(h.hub.Context(), v, &req)
	var welcome *wire.Message
	if told == nil {
		welcome, told = h.enter(h.hub.Context(), n, slot)
	}
	if told != nil {
		h.fail(w, &req, told)
		return
	}
	taken = true
	s := n.session
	s.mu.Lock()
	if s.transport == nil && !s.over {
		s.wait()
	}
	s.mu.Unlock()
	reply(w, http.StatusOK, welcome)
}

func (h *Handler) readHello(w http.ResponseWriter, r *http.Request) (wire.Request, *signal.Error) {
	body, err := h.body(w, r)
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

// standing says where a session stands, which its event stream then goes on from.
func (h *Handler) standing(r *wire.Request) (*wire.Message, *signal.Error) {
	s, ok := h.find(r.Resume)
	if !ok {
		return nil, signal.ErrResync
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.kept.after(r.Seq); !ok || s.over {
		return nil, signal.ErrResync
	}
	return s.standing(), nil
}

// body reads a request, which may be as large as one message.
func (h *Handler) body(w http.ResponseWriter, r *http.Request) ([]byte, *signal.Error) {
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

// ServeSend takes messages of a session.
func (h *Handler) ServeSend(w http.ResponseWriter, r *http.Request) {
	s, ok := h.find(bearer(r))
	if !ok {
		h.fail(w, &wire.Request{}, signal.ErrResync)
		return
	}
	defer s.posts.Add(-1)
	if s.posts.Add(1) > maxPosts {
		w.Header().Set("Connection", "close") // or the answer waits for a body that nobody wants
		h.fail(w, &wire.Request{}, signal.ErrTooMany)
		return
	}
	body, told := h.body(w, r)
	if told != nil {
		h.fail(w, &wire.Request{}, told)
		return
	}
	messages := [][]byte{body}
	if b := bytes.TrimLeft(body, " \t\r\n"); len(b) > 0 && b[0] == '[' {
		if messages, ok = rawjson.Elements(body); !ok || len(messages) > maxElements {
			h.fail(w, &wire.Request{}, signal.ErrBadMessage)
			return
		}
	}
	s.confirm()
	for _, m := range messages {
		s.live()
		s.receive(m)
	}
	reply(w, http.StatusOK, &wire.Message{Type: wire.Ack, Ack: s.received.Load()})
}

// receive takes a message that came in a POST, when it may come.
func (s *session) receive(m []byte) {
	wait, tooFast := s.admit(len(m))
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-s.client.Done():
		}
	}
	if tooFast {
		s.tell(failure(&wire.Request{}, s.refused(signal.ErrRateLimited)))
	}
	if slow := s.handle(nil, m); slow != nil {
		slow()
	}
}

// ServeEvents serves a session's event stream for as long as it lasts.
func (h *Handler) ServeEvents(w http.ResponseWriter, r *http.Request) {
	t := stream{sse.New(w)}
	done, err := h.hub.Attend()
	if err != nil {
		h.fail(w, &wire.Request{}, signal.ErrRestarting)
		return
	}
	defer done()
	stop := context.AfterFunc(h.hub.Context(), t.Abort)
	defer stop()
	secret, seq := bearer(r), lastEvent(r)
	// The header says OK before the session is attached, whose first message follows it; so what can fail is
	// looked at beforehand.
	if _, told := h.standing(&wire.Request{Resume: secret, Seq: seq}); told != nil {
		h.metrics.resumes[unknown].Inc()
		h.fail(w, &wire.Request{}, told)
		return
	}
	t.Start()
	h.metrics.streams.Inc()
	defer h.metrics.streams.Dec()
	defer t.Leave()
	s, told := h.resume(t, secret, seq)
	if told != nil {
		_ = t.Write(failure(&wire.Request{}, told).Encode(), time.Now().Add(byeWait))
		return
	}
	t.serve(r, s.live)
	s.lose(t)
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

func (h *Handler) fail(w http.ResponseWriter, r *wire.Request, e *signal.Error) {
	h.hub.Refuse(e)
	status, ok := statuses[e]
	if !ok {
		status = http.StatusBadRequest
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "10")
	}
	reply(w, status, failure(r, e))
}

func reply(w http.ResponseWriter, status int, m *wire.Message) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(m.Encode()) // who hung up doesn't need it
}
