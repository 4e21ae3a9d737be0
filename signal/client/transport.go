package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	gorilla "github.com/gorilla/websocket"

	"icebox/signal/protocol/native/wire"
)

// transport carries messages until it is closed. One goroutine at a time calls Read, and one at a time calls Write.
type transport interface {
	Read(deadline time.Time) ([]byte, error)
	Write(texts [][]byte, deadline time.Time) error
	Close() // may be called by any goroutine, more than once
}

// connect connects and sends hello. It returns the server's first message, which is a welcome or a resumed.
func (o *Options) connect(ctx context.Context, hello wire.Request) (transport, wire.Message, error) {
	if o.Events {
		return o.openEvents(ctx, hello)
	}
	return o.openWebSocket(ctx, hello)
}

func (o *Options) endpoint(path string) string { return strings.TrimSuffix(o.URL, "/") + path }

// wsTransport is a WebSocket.
type wsTransport struct{ ws *gorilla.Conn }

func (o *Options) openWebSocket(ctx context.Context, hello wire.Request) (transport, wire.Message, error) {
	var none wire.Message
	dialer := *o.Dialer
	dialer.Subprotocols = []string{wire.Subprotocol}
	ws, resp, err := dialer.DialContext(ctx, "ws"+strings.TrimPrefix(o.endpoint("/ws"), "http"), o.Header)
	if resp != nil {
		defer resp.Body.Close()
	}
	if err != nil {
		if resp != nil {
			err = fmt.Errorf("%w: %s", err, resp.Status)
		}
		return nil, none, err
	}
	s := &wsTransport{ws}
	stop := context.AfterFunc(ctx, s.Close)
	defer stop()
	deadline := time.Now().Add(writeWait)
	if err := s.Write([][]byte{hello.Encode()}, deadline); err != nil {
		s.Close()
		return nil, none, err
	}
	text, err := s.Read(deadline)
	if err != nil {
		s.Close()
		return nil, none, err
	}
	m, err := decodeFirst(text)
	if err != nil {
		s.Close()
	}
	return s, m, err
}

// decodeFirst decodes the server's first message. It returns a refusal as an *Error.
func decodeFirst(text []byte) (m wire.Message, err error) {
	if err := json.Unmarshal(text, &m); err != nil {
		return m, err
	}
	switch m.Type {
	case wire.Welcome, wire.Resumed:
		return m, nil
	case wire.Fail:
		return m, &Error{m.Code, m.Text}
	default:
		return m, fmt.Errorf("the first message has the unexpected type %q", m.Type)
	}
}

func (s *wsTransport) Read(deadline time.Time) ([]byte, error) {
	_ = s.ws.SetReadDeadline(deadline)
	_, text, err := s.ws.ReadMessage()
	return text, err
}

func (s *wsTransport) Write(texts [][]byte, deadline time.Time) error {
	_ = s.ws.SetWriteDeadline(deadline)
	for _, t := range texts {
		if err := s.ws.WriteMessage(gorilla.TextMessage, t); err != nil {
			return err
		}
	}
	return nil
}

func (s *wsTransport) Close() { _ = s.ws.Close() }

// eventTransport is an event stream from the server, with a POST for each message to it.
type eventTransport struct {
	opts   *Options
	secret string
	ctx    context.Context
	cancel context.CancelFunc
	body   io.ReadCloser
	events *bufio.Reader
	once   sync.Once
}

// openEvents opens the session's event stream. It signs in before, unless hello resumes a session.
func (o *Options) openEvents(ctx context.Context, hello wire.Request) (transport, wire.Message, error) {
	var m wire.Message
	if hello.Resume == "" {
		resp, err := o.post(ctx, "/v1/hello", "", hello.Encode())
		if err != nil {
			return nil, m, err
		}
		if m, err = decodeFirst(resp); err != nil {
			return nil, m, err
		}
		hello.Resume = m.Resume
	}
	s := &eventTransport{opts: o, secret: hello.Resume}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	stop := context.AfterFunc(ctx, s.cancel)
	defer stop()
	text, err := s.openStream(hello.Seq)
	if err != nil {
		s.Close()
		return nil, m, err
	}
	resumed, err := decodeFirst(text)
	if err != nil {
		s.Close()
		return nil, resumed, err
	}
	if m.Type == wire.Welcome {
		return s, m, nil
	}
	return s, resumed, nil
}

// openStream opens the event stream from the message after seq on, and returns the first event.
func (s *eventTransport) openStream(seq uint64) ([]byte, error) {
	r, err := http.NewRequestWithContext(s.ctx, http.MethodGet, s.opts.endpoint("/v1/events"), nil)
	if err != nil {
		return nil, err
	}
	s.opts.authorize(r, s.secret)
	r.Header.Set("Last-Event-ID", strconv.FormatUint(seq, 10))
	resp, err := s.opts.HTTP.Do(r) //nolint:bodyclose // Close closes it when the stream ends
	if err != nil {
		return nil, err
	}
	s.body = resp.Body
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
		if _, err := decodeFirst(text); err != nil {
			return nil, err
		}
		return nil, errors.New(resp.Status)
	}
	s.events = bufio.NewReader(resp.Body)
	return s.Read(time.Now().Add(writeWait))
}

// Read implements transport. A comment in the stream is a sign of life: it extends the deadline by the original wait.
func (s *eventTransport) Read(deadline time.Time) ([]byte, error) {
	wait := max(time.Until(deadline), 25*time.Second) // the server sends a comment every 15 s
	t := time.AfterFunc(wait, s.cancel)
	defer t.Stop()
	for {
		line, err := s.events.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		t.Reset(wait)
		if data, ok := bytes.CutPrefix(line, []byte("data: ")); ok {
			return bytes.TrimRight(data, "\r\n"), nil
		}
	}
}

func (s *eventTransport) Write(texts [][]byte, deadline time.Time) error {
	ctx, cancel := context.WithDeadline(s.ctx, deadline)
	defer cancel()
	for _, t := range texts { // one POST each, because an array of all might exceed the server's size limit
		if _, err := s.opts.post(ctx, "/v1/send", s.secret, t); err != nil {
			return err
		}
	}
	return nil
}

func (s *eventTransport) Close() {
	s.cancel()
	if s.body != nil {
		s.once.Do(func() { _ = s.body.Close() })
	}
}

func (o *Options) authorize(r *http.Request, secret string) {
	for k, v := range o.Header {
		r.Header[k] = v
	}
	if secret != "" {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
}

// post sends a POST and returns the body of the response. A refusal is returned as an *Error.
func (o *Options) post(ctx context.Context, path, secret string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, o.endpoint(path), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	o.authorize(r, secret)
	r.Header.Set("Content-Type", "application/json")
	resp, err := o.HTTP.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		if _, err := decodeFirst(text); err != nil {
			return nil, err
		}
		return nil, errors.New(resp.Status)
	}
	return text, nil
}
