package call

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"icebox/signal"
	"icebox/signal/broker"
)

// person is a party that records the events it is notified of.
type person struct {
	addr     broker.Addr
	from     netip.Addr
	name     string
	received []string
	busy     bool
}

func newPerson(name string) *person {
	return &person{addr: broker.Addr{Client: broker.NewID()}, name: name}
}

func (p *person) Addr() broker.Addr   { return p.addr }
func (p *person) Name() string        { return p.name }
func (p *person) User() string        { return p.name }
func (p *person) AddrKey() netip.Addr { return p.from }

func (p *person) Notify(e Event) error {
	if p.busy {
		return signal.ErrPeerBusy
	}
	kind := map[EventKind]string{Joined: "joined", Message: e.Label, Kept: e.Label}[e.Kind]
	if kind == "" {
		kind = e.Kind.Reason()
	}
	p.received = append(p.received, fmt.Sprintf("%s %s%s", kind, e.FromName, e.Data))
	return nil
}

// wants checks the events since the last time. Each is its kind or label, followed by the sender's name and the data.
func (p *person) wants(t *testing.T, events ...string) {
	t.Helper()
	if !slices.Equal(p.received, events) {
		t.Errorf("%s received %q, want %q", p.name, p.received, events)
	}
	p.received = nil
}

func newRegistry(t *testing.T, change ...func(*signal.CallLimits)) *Registry {
	t.Helper()
	l := signal.DefaultLimits().Calls
	for _, f := range change {
		f(&l)
	}
	r, err := New(Options{Limits: func() signal.CallLimits { return l }, Secret: []byte("secret of all processes")})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *Registry) mustCreate(t *testing.T, p Party, maxParties int) (id string) {
	t.Helper()
	must(t, r.Create(p, maxParties, func(i Info) { id = i.ID }))
	return id
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func nothing(Info) {}

func send(t *testing.T, r *Registry, p Party, id, label, data string) {
	t.Helper()
	must(t, r.Send(p, id, broker.Addr{}, label, []byte(data)))
}

// A late joiner receives the kept messages in the right order and only once, after the response to its join.
func TestLateJoinerReceivesKeptMessages(t *testing.T) {
	r, al, bo := newRegistry(t), newPerson("al"), newPerson("bo")
	id := r.mustCreate(t, al, 0)
	send(t, r, al, id, "candidate", "0")
	send(t, r, al, id, "offer", "1")
	send(t, r, al, id, "candidate", "1")
	send(t, r, al, id, "mood", "!")
	send(t, r, al, id, "offer", "2")
	send(t, r, al, id, "candidate", "2")
	send(t, r, al, id, "candidate", "3")
	must(t, r.Join(bo, id, Pass{}, func(i Info) {
		if len(i.Others) != 1 || i.Others[0] != Party(al) || len(bo.received) > 0 {
			t.Errorf("bo joined with %v, after it had received %q", i, bo.received)
		}
	}))
	bo.wants(t, "offer al2", "candidate al0", "candidate al2", "candidate al3", "mood al!")
	al.wants(t, "joined bo")
	send(t, r, bo, id, "answer", "a")
	al.wants(t, "answer boa")
	must(t, r.Leave(bo, id))
	al.wants(t, "left bo")
	must(t, r.Join(bo, id, Pass{}, nothing))
	bo.wants(t) // nothing is sent twice
	must(t, r.Hangup(bo, id))
	al.wants(t, "joined bo", "hangup bo")
	bo.wants(t, "hangup bo")
	wantErr(t, r.Join(bo, id, Pass{}, nothing), signal.ErrNoSuchCall)
	if len(r.calls)+len(r.members)+len(r.users) != 0 {
		t.Errorf("the registry still has the calls %v, members %v and users %v", r.calls, r.members, r.users)
	}
}

// The limits on parties and calls hold, and only a client in a call can act in it.
func TestCallLimits(t *testing.T) {
	r := newRegistry(t, func(l *signal.CallLimits) { l.Parties, l.PerClient, l.Total = 3, 2, 3 })
	al, bo, cy, di := newPerson("al"), newPerson("bo"), newPerson("cy"), newPerson("di")
	wantErr(t, r.Create(al, 4, nothing), signal.ErrCallLimit)
	wantErr(t, r.Create(al, 1, nothing), signal.ErrCallLimit)
	id := r.mustCreate(t, al, 3)
	wantErr(t, r.Join(al, id, Pass{}, nothing), signal.ErrInCall)
	wantErr(t, r.Join(bo, "nowhere", Pass{}, nothing), signal.ErrNoSuchCall)
	must(t, r.Join(bo, id, Pass{}, nothing))
	must(t, r.Check(cy, id, Pass{}))
	must(t, r.Join(cy, id, Pass{}, nothing))
	wantErr(t, r.Check(di, id, Pass{}), signal.ErrCallFull)
	wantErr(t, r.Join(di, id, Pass{}, nothing), signal.ErrCallFull)
	wantErr(t, r.Send(di, id, broker.Addr{}, "x", nil), signal.ErrNotInCall)
	wantErr(t, r.Leave(di, id), signal.ErrNotInCall)
	wantErr(t, r.Hangup(di, id), signal.ErrNotInCall)
	r.mustCreate(t, al, 2)
	wantErr(t, r.Create(al, 2, nothing), signal.ErrCallLimit) // al is in two calls
	r.mustCreate(t, di, 2)
	wantErr(t, r.Create(di, 2, nothing), signal.ErrCallLimit) // there are three calls
}

// With OnePerUser, two clients of the same user cannot be in different calls.
func TestOneCallPerUser(t *testing.T) {
	r := newRegistry(t, func(l *signal.CallLimits) { l.OnePerUser = true })
	al, again, bo := newPerson("al"), newPerson("al"), newPerson("bo")
	id := r.mustCreate(t, al, 0)
	wantErr(t, r.Create(al, 0, nothing), signal.ErrInCall)
	wantErr(t, r.Create(again, 0, nothing), signal.ErrInCall)
	other := r.mustCreate(t, bo, 0)
	wantErr(t, r.Join(al, other, Pass{}, nothing), signal.ErrInCall)
	r.Drop(al)
	must(t, r.Join(again, id, Pass{}, nothing))
}

// A call that tokens list can be created and joined only with such a token.
func TestReservedCalls(t *testing.T) {
	r, al, bo := newRegistry(t), newPerson("al"), newPerson("bo")
	must(t, r.Join(al, "room", Pass{Listed: true}, nothing))
	wantErr(t, r.Join(bo, "room", Pass{}, nothing), signal.ErrCallBarred)
	must(t, r.Join(bo, "room", Pass{Listed: true}, nothing))
	wantErr(t, r.Join(bo, "no room", Pass{Listed: true}, nothing), signal.ErrNoSuchCall)
}

// A message goes to one party or to all others. If one of them cannot take it, the sender gets an error.
func TestMessagesToOneAndToAll(t *testing.T) {
	r := newRegistry(t, func(l *signal.CallLimits) { l.Parties = 3 })
	al, bo, cy := newPerson("al"), newPerson("bo"), newPerson("cy")
	id := r.mustCreate(t, al, 3)
	must(t, r.Join(bo, id, Pass{}, nothing))
	must(t, r.Join(cy, id, Pass{}, nothing))
	al.received, bo.received, cy.received = nil, nil, nil
	must(t, r.Send(al, id, cy.addr, "offer", []byte("1")))
	wantErr(t, r.Send(al, id, newPerson("x").addr, "offer", nil), signal.ErrPeerOffline)
	cy.busy = true
	wantErr(t, r.Send(al, id, cy.addr, "offer", []byte("2")), signal.ErrPeerBusy)
	wantErr(t, r.Send(al, id, broker.Addr{}, "offer", []byte("3")), signal.ErrPeerBusy)
	bo.wants(t, "offer al3")
	cy.wants(t, "offer al1")
	r.Drop(al)
	bo.wants(t, "gone al")
}

// The bytes and the number of messages that a call keeps are limited. A new offer frees the bytes of the previous one.
func TestKeptMessagesOfOneCallAreLimited(t *testing.T) {
	r := newRegistry(t, func(l *signal.CallLimits) { l.KeptBytes = 10*overhead + 1000 })
	al := newPerson("al")
	id := r.mustCreate(t, al, 0)
	send(t, r, al, id, "offer", string(make([]byte, 900)))
	wantErr(t, r.Send(al, id, broker.Addr{}, "candidate", make([]byte, 2000)), signal.ErrCallCrowded)
	send(t, r, al, id, "offer", string(make([]byte, 1000))) // replaces the first offer
	r.Drop(al)
	if k := r.calls[id].kept; k.bytes != 0 || k.count != 0 {
		t.Errorf("%d bytes and %d messages of a party that has left are kept, want none", k.bytes, k.count)
	}
	r = newRegistry(t)
	id = r.mustCreate(t, al, 0)
	for range maxKept {
		send(t, r, al, id, "x", "")
	}
	wantErr(t, r.Send(al, id, broker.Addr{}, "x", nil), signal.ErrCallCrowded)
}

// A call ends if nobody joins it in time, or if it is empty for EmptyWait. An empty call that is joined again goes on.
func TestUnjoinedAndEmptyCallsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, func(l *signal.CallLimits) { l.Unjoined = 10 * time.Minute })
		al, bo := newPerson("al"), newPerson("bo")
		unjoined, empty, back := r.mustCreate(t, al, 0), r.mustCreate(t, al, 0), r.mustCreate(t, al, 0)
		must(t, r.Leave(al, empty))
		must(t, r.Leave(al, back))
		<-time.After(EmptyWait - time.Second)
		must(t, r.Join(al, back, Pass{}, nothing))
		must(t, r.Join(bo, back, Pass{}, nothing))
		al.received = nil
		<-time.After(2 * time.Second)
		synctest.Wait()
		wantErr(t, r.Join(bo, empty, Pass{}, nothing), signal.ErrNoSuchCall)
		<-time.After(10 * time.Minute)
		synctest.Wait()
		al.wants(t, "unjoined ")
		wantErr(t, r.Join(bo, unjoined, Pass{}, nothing), signal.ErrNoSuchCall)
		must(t, r.Hangup(bo, back))
	})
}

func TestIDs(t *testing.T) {
	seen := make(map[string]bool)
	for range 1000 {
		id := newID()
		if !ValidID(id) || len(id) != 16 || seen[id] {
			t.Fatalf("the ID %q is invalid, has the wrong length, or was generated before", id)
		}
		seen[id] = true
	}
	for _, id := range []string{"", "a b", "ä", "a/b", string(make([]byte, 65))} {
		if ValidID(id) {
			t.Errorf("%q is a valid ID, want invalid", id)
		}
	}
}
