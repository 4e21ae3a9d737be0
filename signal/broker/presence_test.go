package broker

import (
	"slices"
	"testing"
)

func TestWatchersAreNotifiedOfEveryChangeInOrder(t *testing.T) {
	m := NewMemory()
	n, b := join(t, m)
	other, c := join(t, m)
	watcher, al, bo := n.addClient(true), other.addClient(true), other.addClient(true)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(b.Watch(t.Context(), "al", watcher))
	must(c.Claim(t.Context(), "al", al))
	must(b.Watch(t.Context(), "al", watcher)) // notifies once more now, but not twice per change
	if moved, err := c.Transfer(t.Context(), "al", al, bo); err != nil || !moved {
		t.Fatalf("transfer: %v, %v", moved, err)
	}
	if moved, _ := c.Transfer(t.Context(), "al", al, bo); moved {
		t.Error("Transfer moved a name from a client that does not hold it")
	}
	must(c.Release(t.Context(), "al", al)) // no effect: bo holds the name
	must(c.Release(t.Context(), "al", bo))
	must(c.Claim(t.Context(), "al", al))
	must(c.Leave(t.Context()))
	must(b.Unwatch(t.Context(), "al", watcher))
	must(b.Claim(t.Context(), "al", watcher))
	want := []string{"al false", "al true", "al true", "al false", "al true", "al false"}
	if !slices.Equal(n.presence, want) {
		t.Errorf("got %q, want %q", n.presence, want)
	}
	if err := c.Watch(t.Context(), "al", al); err == nil {
		t.Error("a node that has left can still watch")
	}
}

func TestAddrStringCanBeParsed(t *testing.T) {
	a := Addr{Node: NewID(), Client: NewID()}
	if got, ok := ParseAddr(a.String()); !ok || got != a {
		t.Errorf("%v was parsed as %v", a, got)
	}
	for _, s := range []string{"", "x", a.String() + "A", a.String()[1:], "!" + a.String()[1:]} {
		if _, ok := ParseAddr(s); ok {
			t.Errorf("%q was parsed as an address", s)
		}
	}
}
