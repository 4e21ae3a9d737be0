package signaltest

import (
	"net/http"

	"icebox/signal"
)

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
