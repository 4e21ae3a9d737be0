package classic

import (
	"log/slog"
	"net/http"
	"testing"

	gorilla "github.com/gorilla/websocket"

	"icebox/signal"
	"icebox/signal/signaltest"
)

// BenchmarkCandidate sends a candidate from one WebSocket to another. It includes the work of both clients and of the
// kernel.
func BenchmarkCandidate(b *testing.B) {
	al, bo := benchCall(b)
	message := []byte(`{"type":"candidate","candidate":` + candidate + `,"name":"bo"}`)
	b.ReportAllocs()
	for b.Loop() {
		if err := al.WriteMessage(gorilla.TextMessage, message); err != nil {
			b.Fatal(err)
		}
		if _, _, err := bo.ReadMessage(); err != nil {
			b.Fatal(err)
		}
	}
}

// benchCall returns two clients that have exchanged an offer.
func benchCall(b *testing.B) (al, bo *signaltest.Conn) {
	b.Helper()
	l := signal.DefaultLimits()
	fast(nil, &l)
	hub := signaltest.Hub(b, signal.Options{}, l)
	h := New(hub, nil, slog.New(slog.DiscardHandler), Options{})
	url := signaltest.Serve(b, hub, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.Serve(w, r, signaltest.Access{})
	}))
	var conns [2]*signaltest.Conn
	for i, name := range []string{"al", "bo"} {
		conns[i] = signaltest.MustDial(b, gorilla.DefaultDialer, url)
		conns[i].Patience = 0 // a benchmark may run for longer
		conns[i].Send(`{"type":"login","name":"` + name + `"}`)
		conns[i].MustNext()
	}
	conns[0].Send(`{"type":"offer","offer":` + sdpOffer + `,"name":"bo"}`)
	conns[1].MustNext()
	return conns[0], conns[1]
}
