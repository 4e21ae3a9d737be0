//go:build !linux

package websocket

import (
	"log/slog"
	"net"
	"net/http"
)

// Catch is for Linux; elsewhere all connections are the server's.
func Catch(l net.Listener, _ http.Handler, _ func(*http.Request) bool, _ *slog.Logger) (net.Listener, error) {
	return Listen(l), nil
}
