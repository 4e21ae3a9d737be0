package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// webServer is an HTTP server and the goroutine that runs it.
type webServer struct {
	server *http.Server
	done   chan struct{} // closed when the goroutine has ended
}

// serveWeb serves l until shutdown, over TLS if secure is not nil. It calls failed if serving ends on its own.
func serveWeb(l net.Listener, h http.Handler, secure *tls.Config, log *slog.Logger, failed func(error)) *webServer {
	w := &webServer{done: make(chan struct{}), server: &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // its lines are about mistakes of clients
	}}
	serve := func() error { return w.server.Serve(l) }
	if secure != nil {
		w.server.TLSConfig = secure
		serve = func() error { return w.server.ServeTLS(l, "", "") }
	}
	go func() {
		defer close(w.done)
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			failed(fmt.Errorf("serve http on %s: %w", l.Addr(), err))
		}
	}()
	return w
}

// shutdown waits for requests until ctx is done, and then cuts them off. It does not close hijacked connections: their handlers
// do.
func (w *webServer) shutdown(ctx context.Context) error {
	err := w.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = w.server.Close()
	}
	<-w.done
	return err
}
