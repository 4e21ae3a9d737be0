package topics_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	gorilla "github.com/gorilla/websocket"

	"icebox/signal"
	"icebox/signal/signaltest"
)

func TestYWebRTC(t *testing.T) {
	s := serve(t)
	al, bo, cy := s.connect("/y-webrtc"), s.connect("/y-webrtc/"), s.connect("/y-webrtc?x=1")
	al.Send(`{"type":"subscribe","topics":["room","other"]}`)
	al.ping()
	bo.Send(`{"type":"subscribe","topics":["room",1,null,["x"],"room"]}`)
	bo.ping()
	al.Send(`{"type":"publish","topic":"room","data":{"type":"announce","from":"f0"}}`)
	al.Want(`{"type":"publish","topic":"room","data":{"type":"announce","from":"f0"},"clients":2}`)
	bo.Want(`{"type":"publish","topic":"room","data":{"type":"announce","from":"f0"},"clients":2}`)
	// A client that has not subscribed may publish. The message may have any JSON form; its own "clients" is overridden.
	cy.Send(` { "data" : "AbC=" , "clients":99, "topic":"r\u006fom", "type":"publish" } `)
	bo.Want(` { "data" : "AbC=" , "clients":99, "topic":"r\u006fom", "type":"publish" ,"clients":2}`)
	al.Want(` { "data" : "AbC=" , "clients":99, "topic":"r\u006fom", "type":"publish" ,"clients":2}`)
	cy.ping()
	al.Send(`{"type":"unsubscribe","topics":["room","nowhere"]}`)
	al.ping()
	bo.Send(`{"type":"publish","topic":"room"}`)
	bo.Want(`{"type":"publish","topic":"room","clients":1}`)
	al.Send(`{"type":"publish","topic":"nowhere"}`)
	al.ping()

	if resp, body := signaltest.Request(t, "GET", s.url+"/y-webrtc", "", nil); resp.StatusCode != 200 || string(body) != "okay" {
		t.Errorf("GET: %d %s", resp.StatusCode, body)
	}
}

func TestTrystero(t *testing.T) {
	s := serve(t)
	al, bo := s.connect("/trystero"), s.connect("/trystero")
	al.Send(`{"type":"subscribe","topic":"root"}`)
	al.Send(`{"type":"subscribe","topic":"self"}`)
	al.Send(`{"type":"publish","topic":"root","payload":"{\"peerId\":\"al\"}"}`)
	al.Want(`{"topic":"root","payload":"{\"peerId\":\"al\"}"}`)
	for _, payload := range []string{`{"offer" : "x"}`, `null`, `1.0`, `["é"]`} {
		bo.Sendf(`{"payload":%s,"type":"publish","topic":"self"}`, payload)
		al.Want(`{"topic":"self","payload":` + payload + `}`)
	}
	al.Send(`{"type":"unsubscribe","topic":"self"}`)
	al.Send(`{"type":"publish","topic":"self","payload":1}`)
	al.Send(`{"type":"publish","topic":"root","payload":2}`)
	al.Want(`{"topic":"root","payload":2}`)
	s.counted("icebox_topics", "protocol", "trystero", 1)
	if resp, _ := signaltest.Request(t, "GET", s.url+"/trystero", "", nil); resp.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("GET: %d", resp.StatusCode)
	}
}

// Clients of one dialect can reach neither those of the other nor those of icebox's own protocols.
func TestProtocolsAreIsolated(t *testing.T) {
	s := serve(t)
	y, try := s.connect("/y-webrtc"), s.connect("/trystero")
	y.Send(`{"type":"subscribe","topics":["room"]}`)
	y.ping()
	try.Send(`{"type":"subscribe","topic":"room"}`)
	try.Send(`{"type":"publish","topic":"room","payload":1}`)
	try.Want(`{"topic":"room","payload":1}`)
	classic := s.connect("/ws")
	classic.Send(`{"type":"login","name":"room"}`)
	for _, kind := range []string{"offer", "publish", "subscribe"} {
		classic.Sendf(`{"type":%q,%q:{},"topic":"room","topics":["room"],"name":"y-webrtc\u0000room"}`, kind, kind)
	}
	classic.Send(`{"type":"login","name":"al"}`)
	for range 5 {
		classic.MustNext()
	}
	y.ping()
	try.Send(`{"type":"publish","topic":"room","payload":2}`)
	try.Want(`{"topic":"room","payload":2}`)
}

func TestLimits(t *testing.T) {
	limits := func(l *signal.Limits) { l.Topics = signal.TopicLimits{PerClient: 3, Subscribers: 2, Total: 5} }
	for protocol, subscribe := range map[string]func(string) string{
		"y-webrtc": func(t string) string { return fmt.Sprintf(`{"type":"subscribe","topics":[%q]}`, t) },
		"trystero": func(t string) string { return fmt.Sprintf(`{"type":"subscribe","topic":%q}`, t) },
	} {
		t.Run(protocol, func(t *testing.T) {
			s := serve(t, limits)
			subscriptions := func(want float64) {
				t.Helper()
				s.counted("icebox_topic_subscriptions", "protocol", protocol, want)
			}
			al := s.connect("/" + protocol)
			for _, topic := range []string{"a", "b", "a", "c", "d"} {
				al.Send(subscribe(topic))
			}
			al.wantRefusal("topic-limit")
			subscriptions(3)
			for _, topic := range []string{"", strings.Repeat("x", 257)} {
				al.Send(subscribe(topic))
				al.wantRefusal("bad-topic")
			}
			bo, cy := s.connect("/"+protocol), s.connect("/"+protocol)
			bo.Send(subscribe("a"))
			subscriptions(4)
			cy.Send(subscribe("a"))
			cy.wantRefusal("topic-full")
			cy.Send(subscribe(strings.Repeat("x", 256)))
			cy.Send(subscribe("e"))
			cy.wantRefusal("topics-full")
			subscriptions(5)
			for code, want := range map[string]float64{"topic-limit": 1, "bad-topic": 2, "topic-full": 1, "topics-full": 1, "topics-per-address": 0} {
				s.counted("icebox_signal_refused_total", "code", code, want)
			}
			if err := s.gateway.SetLimits(signaltest.Limits(func(l *signal.Limits) { l.Topics.PerAddr = 5 })); err != nil {
				t.Fatal(err)
			}
			cy.Send(subscribe("f"))
			cy.wantRefusal("topics-per-address")
			elsewhere, _ := s.dial("/"+protocol, http.Header{"X-Forwarded-For": {"192.0.2.1"}, "Origin": {s.url}})
			elsewhere.Send(subscribe("f"))
			subscriptions(6)
			_ = elsewhere.Close()
			subscriptions(5)
			if err := s.gateway.SetLimits(signaltest.Limits(limits)); err != nil {
				t.Fatal(err)
			}
			// A client that ends makes room, and so does a reload with higher limits.
			_ = al.Close()
			subscriptions(2)
			s.counted("icebox_topics", "protocol", protocol, 2)
			cy.Send(subscribe("a"))
			subscriptions(3)
			if err := s.gateway.SetLimits(signal.DefaultLimits()); err != nil {
				t.Fatal(err)
			}
			for i := range 20 {
				cy.Send(subscribe(fmt.Sprint("more", i)))
			}
			subscriptions(23)
		})
	}
}

// A message that subscribes to more topics than a client may have gets one refusal, not one for each topic.
func TestManyTopicsInOneMessage(t *testing.T) {
	s := serve(t)
	names := make([]string, 5000)
	for i := range names {
		names[i] = fmt.Sprintf(`"t%d"`, i)
	}
	c := s.connect("/y-webrtc")
	c.Sendf(`{"type":"subscribe","topics":[%s]}`, strings.Join(names, ","))
	c.wantRefusal("topic-limit")
	c.ping()
	s.counted("icebox_topic_subscriptions", "protocol", "y-webrtc", 128)
}

func TestMalformed(t *testing.T) {
	s := serve(t)
	bad := map[string][]string{
		"/y-webrtc": {
			`null`, `[]`, `{}`, `{"type":1}`, `{"type":"subscribe"}`, `{"type":"unsubscribe"}`, `{"type":"publish"}`, `{"type":"publish","topic":1}`,
		},
		"/trystero": {
			`[]`, `{}`, `{"type":"subscribe"}`, `{"type":"subscribe","topic":null}`, `{"topic":"a"}`,
			`{"type":"publish","payload":1}`, `{"type":"publish","topic":"a"}`,
		},
	}
	n := 0
	for path, texts := range bad {
		c := s.connect(path)
		for _, text := range texts {
			c.Send(text)
		}
		n += len(texts)
		s.counted("icebox_signal_refused_total", "code", "bad-message", float64(n))
		c.Send(`{"type":"else","topic":"a"}`)
	}
	s.counted("icebox_signal_refused_total", "code", "unknown-type", 2)
}

func TestAccess(t *testing.T) {
	const key = "s3cret-key-of-web"
	s := serve(t, func(l *signal.Limits) {
		l.Access, l.Keys, l.ConnsPerAddr = signal.ByKey, []signal.Key{{Name: "web", Key: key}}, 2
	})
	for path, want := range map[string]int{"/y-webrtc": 401, "/trystero?key=wrong": 403} {
		if _, status := s.dial(path, nil); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
	if _, status := s.dial("/trystero?key="+key, http.Header{"Origin": {"https://evil.example"}}); status != 403 {
		t.Errorf("from a page of an origin that is not admitted: %d", status)
	}
	s.connect("/y-webrtc?key=" + key)
	s.connect("/trystero?key=" + key)
	if _, status := s.dial("/trystero?key="+key, nil); status != 429 {
		t.Errorf("a connection above the limit: %d, want 429", status)
	}
}

// A subscriber that does not read is cut off when its queue is full. The other subscribers receive everything.
func TestSlowReader(t *testing.T) {
	s := serve(t, func(l *signal.Limits) {
		l.MessagesPerSecond, l.MessageBurst, l.QueueMessages, l.QueueBytes = 1e6, 1_000_000, 16, 256<<10
	})
	deaf := s.connect("/trystero")
	readers := []client{s.connect("/trystero"), s.connect("/trystero")}
	for _, c := range append(slices.Clone(readers), deaf) {
		c.Send(`{"type":"subscribe","topic":"t"}`)
	}
	s.counted("icebox_topic_subscriptions", "protocol", "trystero", 3)
	payload := strings.Repeat("x", 60<<10)
	ended := func() bool { return s.count("icebox_signal_clients_ended_total", "reason", "slow_reader") == 1 }
	for i := 0; !ended(); i++ {
		from := s.connect("/trystero")
		from.Sendf(`{"type":"publish","topic":"t","payload":"%d%s"}`, i, payload)
		for _, c := range readers {
			c.Want(fmt.Sprintf(`{"topic":"t","payload":"%d%s"}`, i, payload))
		}
	}
	s.counted("icebox_topic_subscriptions", "protocol", "trystero", 2)
	if s.count("icebox_topic_dropped_total", "protocol", "trystero") != 0 {
		t.Error("a publication was dropped, although each sender sent only one")
	}
}

// One sender cannot get a subscriber cut off: once it fills a quarter of the queue, its publications are dropped.
func TestOneSenderCannotCutOffReader(t *testing.T) {
	s := serve(t, func(l *signal.Limits) { l.MessagesPerSecond, l.MessageBurst = 1e6, 1_000_000 })
	deaf, from := s.connect("/y-webrtc"), s.connect("/y-webrtc")
	deaf.Send(`{"type":"subscribe","topics":["t"]}`)
	deaf.ping()
	payload := strings.Repeat("x", 60<<10)
	for s.count("icebox_topic_dropped_total", "protocol", "y-webrtc") < 10 {
		from.Sendf(`{"type":"publish","topic":"t","data":%q}`, payload)
		from.ping()
	}
	if s.count("icebox_signal_clients_ended_total", "reason", "slow_reader") != 0 {
		t.Error("one sender got a reader cut off")
	}
}

func TestShutdown(t *testing.T) {
	s := serve(t)
	c := s.connect("/y-webrtc")
	c.Send(`{"type":"subscribe","topics":["t"]}`)
	c.ping()
	ctx, done := signaltest.Within(t), make(chan error, 1)
	go func() { done <- s.hub.Shutdown(ctx) }()
	c.WantClose(gorilla.CloseServiceRestart)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, status := s.dial("/trystero", nil); status != 503 {
		t.Errorf("a new connection: %d, want 503", status)
	}
	s.counted("icebox_topic_subscriptions", "protocol", "y-webrtc", 0)
}
