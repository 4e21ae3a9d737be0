//go:build !linux

package websocket

import (
	"log/slog"
	"net"
	"net/http"
)

// NewUpgradeListener returns Listen(l). It serves handshakes itself on Linux only.
func NewUpgradeListener(l net.Listener, _ http.Handler, _ func(*http.Request) bool, _ *slog.Logger) (net.Listener, error) {
	return Listen(l), nil
}
