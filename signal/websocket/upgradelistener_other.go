//go:build !linux

package websocket

import (
	"log/slog"
	"net"
	"net/http"
)

// NewUpgradeListener is for Linux. On other systems the server accepts all connections.
func NewUpgradeListener(l net.Listener, _ http.Handler, _ func(*http.Request) bool, _ *slog.Logger) (net.Listener, error) {
	return Listen(l), nil
}
