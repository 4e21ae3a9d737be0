// Package signaltest provides helpers for the tests of protocol packages. It imports none of them, so that their internal
// tests can use it.
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

// shutdownTimeout is how long a hub may take to shut down.
const shutdownTimeout = 20 * time.Second

// Access admits every request as the same visitor. It stands in for gateway.Access.
type Access struct{ Visitor signal.Visitor }

// AdmitWebSocket returns the visitor. The release function does nothing.
func (a Access) AdmitWebSocket(http.ResponseWriter, bool) (v signal.Visitor, release func(), ok bool) {
	return a.Visitor, func() {}, true
}

// AdmitHello returns the visitor. The release function does nothing.
func (a Access) AdmitHello(http.ResponseWriter) (v signal.Visitor, release func(), ok bool) {
	return a.Visitor, func() {}, true
}

// AllowCORS sets no headers, and never treats a request as a preflight.
func (a Access) AllowCORS(http.ResponseWriter, string) (preflight bool) { return false }

// RefuseMethod answers with status 405.
func (a Access) RefuseMethod(w http.ResponseWriter, allowed string) {
	http.Error(w, "use "+allowed, http.StatusMethodNotAllowed)
}

// ClientPrefix is a [signal.Options.ClientPrefix] that counts all IPv6 addresses with the same first 64 bits as one.
func ClientPrefix(a netip.Addr) netip.Prefix {
	p, _ := a.Prefix(min(a.BitLen(), 64)) // fails only for the zero Addr
	return p
}

// CloseAtEnd shuts down the hub and then closes the server when the test ends.
func CloseAtEnd(tb testing.TB, hub *signal.Hub, srv *httptest.Server) {
	tb.Helper()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
		defer cancel()
		if err := hub.Shutdown(ctx); err != nil {
			tb.Errorf("shutdown: %v", err)
		}
		srv.Close()
	})
}
