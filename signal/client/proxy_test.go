package client_test

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy forwards TCP connections to a server. A test can cut them or make them silent.
type proxy struct {
	l      net.Listener
	target string
	work   sync.WaitGroup

	mu    sync.Mutex
	pairs []*pair
}

type pair struct {
	client, server net.Conn
	silenced       atomic.Bool // bytes from both sides are discarded
}

func (p *pair) close() { _, _ = p.client.Close(), p.server.Close() }

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, target: target}
	p.work.Go(p.accept)
	return p
}

func (p *proxy) addr() string { return p.l.Addr().String() }

func (p *proxy) accept() {
	for {
		client, err := p.l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		forwarded := &pair{client: client, server: server}
		p.mu.Lock()
		p.pairs = append(p.pairs, forwarded)
		p.mu.Unlock()
		p.work.Go(func() { forwarded.copyBytes(client, server) })
		p.work.Go(func() { forwarded.copyBytes(server, client) })
	}
}

func (p *pair) copyBytes(to, from net.Conn) {
	defer p.close()
	var b [4096]byte
	for {
		n, err := from.Read(b[:])
		if err != nil {
			return
		}
		if p.silenced.Load() {
			continue
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

// cut closes all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pair := range p.pairs {
		pair.close()
	}
	p.pairs = nil
}

// silence keeps all current connections open, but discards their bytes from now on.
func (p *proxy) silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pair := range p.pairs {
		pair.silenced.Store(true)
	}
}

func (p *proxy) close() {
	_ = p.l.Close()
	p.cut()
	p.work.Wait()
}
