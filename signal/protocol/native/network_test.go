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

// badNetwork is a network whose connections lose what is under way and break, each after a number of bytes of its own.
type badNetwork struct {
	mu    sync.Mutex
	rng   *rand.Rand
	least int // bytes that a connection carries
	most  int
	lost  atomic.Int64
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

// flaky is a connection that swallows one write when its budget is spent, and is cut then.
type flaky struct {
	net.Conn
	net    *badNetwork
	budget atomic.Int64
}

var errCut = errors.New("the network is cut")

func (f *flaky) Read(p []byte) (int, error) {
	n, err := f.Conn.Read(p)
	if f.budget.Add(-int64(n)) < 0 {
		f.net.lost.Add(1)
		_ = f.Conn.Close()
		return 0, errCut // what had come is lost
	}
	return n, err
}

func (f *flaky) Write(p []byte) (int, error) {
	if f.budget.Add(-int64(len(p))) < 0 {
		f.net.lost.Add(1)
		half := rand.IntN(len(p) + 1)
		_, _ = f.Conn.Write(p[:half])
		_ = f.Conn.Close()
		return len(p), nil // the sender believes that it went out
	}
	return f.Conn.Write(p)
}

func (b *badNetwork) options(o *client.Options) {
	o.Dialer = &gorilla.Dialer{NetDialContext: b.dial}
	o.HTTP = &http.Client{Transport: &http.Transport{DialContext: b.dial}}
}

// trackedConns cuts connections when it is told to.
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
