package streamio

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"
)

// Waits of Accept after an error.
const (
	firstRetry = 5 * time.Millisecond
	lastRetry  = time.Second
)

// Accept accepts connections from l and calls handle with each of them, until l is closed or ctx is done. handle must not
// block. Other errors, such as EMFILE, are temporary: Accept logs them and tries again after 5 ms, and after twice as long
// each time up to 1 s.
func Accept(ctx context.Context, l net.Listener, log *slog.Logger, handle func(net.Conn)) {
	for retry := firstRetry; ; {
		c, err := l.Accept()
		switch {
		case err == nil:
			retry = firstRetry
			handle(c)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			log.Warn("accept failed", "listener", l.Addr(), "err", err)
			select {
			case <-time.After(retry):
			case <-ctx.Done():
				return
			}
			retry = min(2*retry, lastRetry)
		}
	}
}
