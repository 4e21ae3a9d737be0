package native_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	gorilla "github.com/gorilla/websocket"

	"icebox/signal/client"
)

// badNetwork dials connections that break after a random number of bytes. When one breaks, the bytes in flight are lost.
type badNetwork struct {
	mu    sync.Mutex
	rng   *rand.Rand
	least int          // the fewest bytes that a connection carries before it breaks
	most  int          // one more than the most
	lost  atomic.Int64 // how often a connection broke
}

func (b *badNetwork) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	f := &flaky{Conn: c, net: b}
	f.budget.Store(int64(b.least + b.rng.IntN(b.most-b.least)))
	return f, nil
}

// flaky is a connection that breaks when its budget of bytes is spent. If a write spends the budget, only a random part of
// that write is sent.
type flaky struct {
	net.Conn
	net    *badNetwork
	budget atomic.Int64
}

var errCut = errors.New("the connection is broken")

func (f *flaky) Read(p []byte) (int, error) {
	n, err := f.Conn.Read(p)
	if f.budget.Add(-int64(n)) < 0 {
		f.net.lost.Add(1)
		_ = f.Conn.Close()
		return 0, errCut // the bytes that were read are lost
	}
	return n, err
}

func (f *flaky) Write(p []byte) (int, error) {
	if f.budget.Add(-int64(len(p))) < 0 {
		f.net.lost.Add(1)
		half := rand.IntN(len(p) + 1)
		_, _ = f.Conn.Write(p[:half])
		_ = f.Conn.Close()
		return len(p), nil // as with a real network, the sender does not notice
	}
	return f.Conn.Write(p)
}

func (b *badNetwork) options(o *client.Options) {
	o.Dialer = &gorilla.Dialer{NetDialContext: b.dial}
	o.HTTP = &http.Client{Transport: &http.Transport{DialContext: b.dial}}
}

// trackedConns dials connections and remembers them, so that a test can close them all.
type trackedConns struct {
	dial func(context.Context, string, string) (net.Conn, error)
	mu   sync.Mutex
	all  []net.Conn
}

func (k *trackedConns) open(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := k.dial(ctx, network, addr)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all = append(k.all, c)
	return c, err
}

func (k *trackedConns) cutAll() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.all {
		_ = c.Close()
	}
	k.all = nil
}

func (k *trackedConns) dialer() *gorilla.Dialer { return &gorilla.Dialer{NetDialContext: k.open} }

func direct(ctx context.Context, network, addr string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, addr)
}
