package pocketbase

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"icebox/signal/signaltest"
)

// eventSource is an event stream as a browser's EventSource reads it.
type eventSource struct {
	t      *testing.T
	id     string
	resp   *http.Response
	r      *bufio.Reader
	cancel context.CancelFunc
}

// listen opens an event stream and subscribes as the SDK does.
func (p *page) listen(topics ...string) *eventSource {
	p.t.Helper()
	s := p.connect()
	p.must("POST", streamPath, s.subscription(topics...))
	return s
}

// connect opens an event stream without a subscription.
func (p *page) connect() *eventSource {
	p.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p.t.Cleanup(cancel)
	r, _ := http.NewRequestWithContext(ctx, "GET", p.url+streamPath, nil)
	r.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 {
		p.t.Fatalf("open an event stream: status %d", resp.StatusCode)
	}
	s := &eventSource{t: p.t, resp: resp, r: bufio.NewReader(resp.Body), cancel: cancel}
	first := s.next()
	if s.id = first.id; first.topic != "PB_CONNECT" || s.id == "" || first.data["clientId"] != s.id {
		p.t.Fatalf("the first event is %+v", first)
	}
	return s
}

func (s *eventSource) subscription(topics ...string) string {
	b, _ := json.Marshal(attributes{"clientId": s.id, "subscriptions": topics})
	return string(b)
}

// message is an event as the SDK receives it.
type message struct {
	id, topic string
	data      attributes
}

func (m message) record() attributes {
	r, _ := m.data["record"].(attributes)
	return r
}

// String summarizes the message as "topic action subject". The subject is the first word of a candidate, whether a call has
// an offer and an answer, or "nothing" for a candidate without data.
func (m message) String() string {
	record := m.record()
	about := record["id"]
	if data, ok := record["data"].(attributes); ok {
		about = strings.Fields(data["candidate"].(string))[0]
	} else if record["collectionName"] == calls {
		about = fmt.Sprintf("offer:%v answer:%v", record["offer"] != nil, record["answer"] != nil)
	} else if record["call_id"] != nil {
		about = "nothing"
	}
	return fmt.Sprintf("%s %s %v", m.topic, m.data["action"], about)
}

var errStreamEnded = errors.New("the stream has ended")

func (s *eventSource) read() (m message, err error) {
	for {
		line, err := s.r.ReadString('\n')
		if err != nil {
			return m, errStreamEnded
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "id":
			m.id = value
		case "event":
			m.topic = value
		case "data":
			if err := json.Unmarshal([]byte(value), &m.data); err != nil {
				return m, fmt.Errorf("%q: %w", value, err)
			}
		case "":
			if m.data != nil {
				return m, nil
			}
		}
	}
}

func (s *eventSource) next() message {
	s.t.Helper()
	guard := time.AfterFunc(signaltest.Patience, s.cancel)
	defer guard.Stop()
	m, err := s.read()
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

// wants checks that the next events have these summaries; see message.String.
func (s *eventSource) wants(events ...string) {
	s.t.Helper()
	for _, want := range events {
		if got := s.next().String(); got != want {
			s.t.Fatalf("got %q, want %q", got, want)
		}
	}
}

// ends waits until the stream ends and returns the messages before the end.
func (s *eventSource) ends() (before []message) {
	s.t.Helper()
	guard := time.AfterFunc(signaltest.Patience, func() {
		s.t.Error("the stream did not end")
		s.cancel()
	})
	defer guard.Stop()
	for {
		m, err := s.read()
		if err != nil {
			return before
		}
		before = append(before, m)
	}
}
