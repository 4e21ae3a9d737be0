package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
)

// fakeNode answers probes of its clients that are alive, and records all other calls.
type fakeNode struct {
	mu        sync.Mutex
	alive     map[ID]bool
	evicted   []ID
	delivered []Message
	presence  []string
	onProbe   func()
}

func (n *fakeNode) Deliver(to ID, m Message) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.alive[to] {
		return ErrOffline
	}
	n.delivered = append(n.delivered, m)
	return nil
}

func (n *fakeNode) Probe(_ context.Context, client ID) bool {
	if n.onProbe != nil {
		n.onProbe()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.alive[client]
}

func (n *fakeNode) Evict(client ID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.evicted = append(n.evicted, client)
}

func (n *fakeNode) Presence(_ ID, name string, held bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.presence = append(n.presence, fmt.Sprintf("%s %v", name, held))
}

func (n *fakeNode) addClient(alive bool) ID {
	id := NewID()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.alive[id] = alive
	return id
}

func join(t *testing.T, m *Memory) (*fakeNode, Broker) {
	t.Helper()
	n := &fakeNode{alive: make(map[ID]bool)}
	b, _, err := m.Join(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return n, b
}

func wantErr(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func TestClaimIsRefusedWhileTheHolderAnswers(t *testing.T) {
	m := NewMemory()
	n1, b1 := join(t, m)
	n2, b2 := join(t, m)
	old, newcomer := n1.addClient(true), n2.addClient(true)
	wantErr(t, b1.Claim(t.Context(), "bob", old), nil)
	wantErr(t, b1.Claim(t.Context(), "bob", old), nil)
	wantErr(t, b2.Claim(t.Context(), "bob", newcomer), ErrTaken)
	if len(n1.evicted) != 0 {
		t.Fatal("a holder that answers was evicted")
	}
}

func TestClaimReplacesAHolderThatDoesNotAnswer(t *testing.T) {
	m := NewMemory()
	n1, b1 := join(t, m)
	n2, b2 := join(t, m)
	old, newcomer := n1.addClient(false), n2.addClient(true)
	wantErr(t, b1.Claim(t.Context(), "bob", old), nil)
	wantErr(t, b2.Claim(t.Context(), "bob", newcomer), nil)
	if len(n1.evicted) != 1 || n1.evicted[0] != old {
		t.Fatalf("evicted %v, want only %v", n1.evicted, old)
	}
	// When the old connection closes at last, it must not release its successor's name.
	wantErr(t, b1.Release(t.Context(), "bob", old), nil)
	a, err := b1.Find(t.Context(), "bob")
	wantErr(t, err, nil)
	if a.Client != newcomer {
		t.Fatalf("bob is held by %v, want %v", a.Client, newcomer)
	}
}

func TestClaimDoesNotReplaceTheHolderWhenItsProbeIsInterrupted(t *testing.T) {
	m := NewMemory()
	n1, b1 := join(t, m)
	ctx, cancel := context.WithCancel(t.Context())
	n1.onProbe = cancel
	old, newcomer := n1.addClient(false), n1.addClient(true)
	wantErr(t, b1.Claim(ctx, "bob", old), nil)
	wantErr(t, b1.Claim(ctx, "bob", newcomer), context.Canceled)
	a, _ := b1.Find(t.Context(), "bob")
	if a.Client != old {
		t.Fatal("the holder lost its name though its probe was interrupted")
	}
}

func TestOneOfManyClaimantsGetsTheName(t *testing.T) {
	m := NewMemory()
	n, b := join(t, m)
	wantErr(t, b.Claim(t.Context(), "bob", n.addClient(false)), nil)
	const claimants = 16
	var (
		wg      sync.WaitGroup
		results = make(chan error, claimants)
	)
	for range claimants {
		wg.Go(func() { results <- b.Claim(t.Context(), "bob", n.addClient(true)) })
	}
	wg.Wait()
	close(results)
	won := 0
	for err := range results {
		if err == nil {
			won++
		} else {
			wantErr(t, err, ErrTaken)
		}
	}
	if won != 1 {
		t.Fatalf("%d claimants got the name, want 1", won)
	}
}

func TestRouteDeliversToTheNodeOfTheClient(t *testing.T) {
	m := NewMemory()
	n1, b1 := join(t, m)
	_, b2 := join(t, m)
	bob := n1.addClient(true)
	wantErr(t, b1.Claim(t.Context(), "bob", bob), nil)
	a, err := b2.Find(t.Context(), "bob")
	wantErr(t, err, nil)
	wantErr(t, b2.Route(t.Context(), a, Message{Kind: Offer, FromName: "al"}), nil)
	if len(n1.delivered) != 1 || n1.delivered[0].FromName != "al" {
		t.Fatalf("node 1 got %v, want one message from al", n1.delivered)
	}
	wantErr(t, b2.Route(t.Context(), Addr{Node: NewID(), Client: bob}, Message{}), ErrOffline)
	wantErr(t, b2.Route(t.Context(), Addr{Node: a.Node, Client: NewID()}, Message{}), ErrOffline)
	_, err = b2.Find(t.Context(), "nobody")
	wantErr(t, err, ErrOffline)
}

func TestLeaveFreesTheNamesOfTheNode(t *testing.T) {
	m := NewMemory()
	n1, b1 := join(t, m)
	n2, b2 := join(t, m)
	for i := range 100 {
		wantErr(t, b1.Claim(t.Context(), fmt.Sprint("a", i), n1.addClient(true)), nil)
		wantErr(t, b2.Claim(t.Context(), fmt.Sprint("b", i), n2.addClient(true)), nil)
	}
	wantErr(t, b1.Leave(t.Context()), nil)
	wantErr(t, b1.Leave(t.Context()), nil)
	for i := range 100 {
		_, err := b2.Find(t.Context(), fmt.Sprint("a", i))
		wantErr(t, err, ErrOffline)
		_, err = b2.Find(t.Context(), fmt.Sprint("b", i))
		wantErr(t, err, nil)
	}
	wantErr(t, b1.Claim(t.Context(), "x", NewID()), ErrLeft)
	wantErr(t, b1.Release(t.Context(), "x", NewID()), ErrLeft)
	wantErr(t, b1.Route(t.Context(), Addr{}, Message{}), ErrLeft)
	_, err := b1.Find(t.Context(), "x")
	wantErr(t, err, ErrLeft)
}

func TestKindsHaveNames(t *testing.T) {
	for k := range Kinds {
		if k.String() == "unknown" || k.String() == "" {
			t.Errorf("kind %d has no name", k)
		}
	}
	if got := (Kinds + 7).String(); got != "unknown" {
		t.Errorf("got %q", got)
	}
}

func BenchmarkFindAndRoute(b *testing.B) {
	m := NewMemory()
	n := discard{}
	br, _, _ := m.Join(b.Context(), n)
	id := NewID()
	if err := br.Claim(b.Context(), "bob", id); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		a, err := br.Find(b.Context(), "bob")
		if err != nil {
			b.Fatal(err)
		}
		if err := br.Route(b.Context(), a, Message{}); err != nil {
			b.Fatal(err)
		}
	}
}

type discard struct{}

func (discard) Deliver(ID, Message) error      { return nil }
func (discard) Probe(context.Context, ID) bool { return true }
func (discard) Evict(ID)                       {}
func (discard) Presence(ID, string, bool)      {}
