// Package signaltest has helpers for the tests of protocols. It imports no protocol, so that a protocol's own tests can use it.
package signaltest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"icebox/signal"
)

// patience is how long a hub may take to shut down.
const patience = 20 * time.Second

// Access admits every request as the same visitor. It implements what protocols ask of the gateway.
type Access struct{ Visitor signal.Visitor }

// AdmitWebSocket returns the visitor.
func (a Access) AdmitWebSocket(http.ResponseWriter, bool) (v signal.Visitor, release func(), ok bool) {
	return a.Visitor, func() {}, true
}

// AdmitHello returns the visitor.
func (a Access) AdmitHello(http.ResponseWriter) (v signal.Visitor, release func(), ok bool) {
	return a.Visitor, func() {}, true
}

// AllowCORS does nothing.
func (a Access) AllowCORS(http.ResponseWriter, string) (preflight bool) { return false }

// RefuseMethod answers with status 405.
func (a Access) RefuseMethod(w http.ResponseWriter, allowed string) {
	http.Error(w, "use "+allowed, http.StatusMethodNotAllowed)
}

// CloseAtEnd shuts the hub down and closes its server when the test ends.
func CloseAtEnd(tb testing.TB, hub *signal.Hub, srv *httptest.Server) {
	tb.Helper()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := hub.Shutdown(ctx); err != nil {
			tb.Errorf("shutdown: %v", err)
		}
		srv.Close()
	})
}
