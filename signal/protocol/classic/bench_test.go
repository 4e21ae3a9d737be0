package classic

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
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
func benchCall(b *testing.B) (al, bo *gorilla.Conn) {
	b.Helper()
	l := signal.DefaultLimits()
	fast(nil, &l)
	hub, err := signal.New(signal.Options{}, l)
	if err != nil {
		b.Fatal(err)
	}
	h := New(hub, nil, slog.New(slog.DiscardHandler), Options{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.Serve(w, r, signaltest.Access{})
	}))
	var conns [2]*gorilla.Conn
	b.Cleanup(func() {
		for _, ws := range conns {
			_ = ws.Close()
		}
		if err := hub.Shutdown(context.Background()); err != nil {
			b.Error(err)
		}
		srv.Close()
	})
	for i, name := range []string{"al", "bo"} {
		if conns[i], _, err = gorilla.DefaultDialer.Dial("ws"+strings.TrimPrefix(srv.URL, "http"), nil); err != nil {
			b.Fatal(err)
		}
		if err := conns[i].WriteMessage(gorilla.TextMessage, []byte(`{"type":"login","name":"`+name+`"}`)); err != nil {
			b.Fatal(err)
		}
		if _, _, err := conns[i].ReadMessage(); err != nil {
			b.Fatal(err)
		}
	}
	if err := conns[0].WriteMessage(gorilla.TextMessage, []byte(`{"type":"offer","offer":`+sdpOffer+`,"name":"bo"}`)); err != nil {
		b.Fatal(err)
	}
	if _, _, err := conns[1].ReadMessage(); err != nil {
		b.Fatal(err)
	}
	return conns[0], conns[1]
}
