package client_test

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy passes connections on, until it is told not to.
type proxy struct {
	l      net.Listener
	target string
	work   sync.WaitGroup

	mu    sync.Mutex
	pairs []*pair
}

type pair struct {
	near, far net.Conn
	silenced  atomic.Bool // what comes is swallowed
}

func (p *pair) close() { _, _ = p.near.Close(), p.far.Close() }

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
		near, err := p.l.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = near.Close()
			continue
		}
		both := &pair{near: near, far: far}
		p.mu.Lock()
		p.pairs = append(p.pairs, both)
		p.mu.Unlock()
		p.work.Go(func() { both.copyBytes(near, far) })
		p.work.Go(func() { both.copyBytes(far, near) })
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

// cut breaks all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pair := range p.pairs {
		pair.close()
	}
	p.pairs = nil
}

// silence makes the connections that are there carry nothing any more.
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
