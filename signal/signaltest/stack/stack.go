// Package stack combines the gateway, the native protocol and the classic protocol in the same way as the daemon, for tests
// that act as clients.
package stack

import (
	"log/slog"
	"net/http"

	"icebox/signal"
	"icebox/signal/gateway"
	"icebox/signal/protocol/classic"
	"icebox/signal/protocol/native"
)

// Listener returns the handler of a listener that serves l.Mounts, and then the native protocol and the classic one.
func Listener(gate *gateway.Gateway, hub *signal.Hub, l gateway.Listener) (http.Handler, error) {
	n, err := native.New(native.Options{Hub: hub, ICE: gate.SignInICE, Authorize: gate.AuthorizeHello})
	if err != nil {
		return nil, err
	}
	c := classic.New(hub, gate.SignInICE, slog.New(slog.DiscardHandler), classic.Options{})
	l.Mounts = append(l.Mounts,
		gateway.Mount{
			Route: "websocket", Match: func(r *http.Request) bool { return gateway.WebSocketPath(r) && native.Offered(r) },
			Serve: func(w http.ResponseWriter, r *http.Request, a *gateway.Access) { n.ServeWebSocket(w, r, a) },
		},
		gateway.Mount{
			Route: "websocket", Match: gateway.WebSocketPath,
			Serve: func(w http.ResponseWriter, r *http.Request, a *gateway.Access) { c.Serve(w, r, a) },
		},
		gateway.Mount{
			Route: "session", Match: native.IsEventsPath,
			Serve: func(w http.ResponseWriter, r *http.Request, a *gateway.Access) { n.ServeEvents(w, r, a) },
		},
	)
	return gate.Listener(l), nil
}
