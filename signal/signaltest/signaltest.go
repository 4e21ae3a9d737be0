// Package signaltest has helpers for the tests of the hub's protocols: a hub and a server that end with the test, a WebSocket
// client, an HTTP client, and readers of metrics. It imports no protocol, so that the tests of each can use it.
//
// The helpers end the test when they fail, so only the goroutine that runs the test may call them.
package signaltest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"icebox/signal"
)

// Patience is how long a test waits for an event before it fails.
const Patience = 20 * time.Second

// Within returns a context that ends after Patience, or with the test.
func Within(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), Patience)
	tb.Cleanup(cancel)
	return ctx
}

// Until calls done every millisecond until it returns true. If that takes longer than Patience, the test fails with what, a
// sentence about the event that it waited for.
func Until(tb testing.TB, what string, done func() bool) {
	tb.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(Patience); !done(); <-tick.C {
		if time.Now().After(end) {
			tb.Fatalf("%s: this did not happen within %v", what, Patience)
		}
	}
}

// ClientPrefix is a [signal.Options.ClientPrefix] that counts all IPv6 addresses with the same first 64 bits as one.
func ClientPrefix(a netip.Addr) netip.Prefix {
	p, _ := a.Prefix(min(a.BitLen(), 64)) // fails only for the zero Addr
	return p
}

// Limits returns the default limits with changes.
func Limits(changes ...func(*signal.Limits)) signal.Limits {
	l := signal.DefaultLimits()
	for _, change := range changes {
		change(&l)
	}
	return l
}

// Hub returns a hub that is shut down when the test ends.
func Hub(tb testing.TB, o signal.Options, l signal.Limits) *signal.Hub {
	tb.Helper()
	hub, err := signal.New(o, l)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { ShutDown(tb, hub) })
	return hub
}

// ShutDown shuts a hub down and waits for its clients. It does nothing if the hub has been shut down before.
func ShutDown(tb testing.TB, hub *signal.Hub) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := hub.Shutdown(ctx); err != nil {
		tb.Errorf("shutdown: %v", err)
	}
}

// Serve returns the http URL of a server on a local port. When the test ends, the hub is shut down and then the server is
// closed.
func Serve(tb testing.TB, hub *signal.Hub, h http.Handler) (url string) {
	tb.Helper()
	srv := httptest.NewServer(h)
	CloseAtEnd(tb, hub, srv)
	return srv.URL
}

// CloseAtEnd shuts the hub down and closes its server when the test ends, in this order, because a server waits for the
// event streams that the hub ends.
func CloseAtEnd(tb testing.TB, hub *signal.Hub, srv *httptest.Server) {
	tb.Helper()
	tb.Cleanup(func() {
		ShutDown(tb, hub)
		srv.Close()
	})
}
