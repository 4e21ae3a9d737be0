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

// person is a party that writes down what it is told.
type person struct {
	addr broker.Addr
	from netip.Addr
	name string
	told []string
	busy bool
}

func newPerson(name string) *person {
	return &person{addr: broker.Addr{Client: broker.NewID()}, name: name}
}

func (p *person) Addr() broker.Addr   { return p.addr }
func (p *person) Name() string        { return p.name }
func (p *person) User() string        { return p.name }
func (p *person) AddrKey() netip.Addr { return p.from }

func (p *person) Tell(e Event) error {
	if p.busy {
		return signal.ErrPeerBusy
	}
	what := map[EventKind]string{Joined: "joined", Message: e.Label, Kept: e.Label}[e.Kind]
	if what == "" {
		what = e.Kind.Reason()
	}
	p.told = append(p.told, fmt.Sprintf("%s %s%s", what, e.FromName, e.Data))
	return nil
}

func (p *person) wants(t *testing.T, told ...string) {
	t.Helper()
	if !slices.Equal(p.told, told) {
		t.Errorf("%s was told %q, want %q", p.name, p.told, told)
	}
	p.told = nil
}

func newBook(t *testing.T, change ...func(*signal.CallLimits)) *Book {
	t.Helper()
	l := signal.DefaultLimits().Calls
	for _, f := range change {
		f(&l)
	}
	b, err := New(Options{Limits: func() signal.CallLimits { return l }, Secret: []byte("of all processes")})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *Book) mustMake(t *testing.T, p Party, most int) (id string) {
	t.Helper()
	must(t, b.Create(p, most, func(i Info) { id = i.ID }))
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

func send(t *testing.T, b *Book, p Party, id, label, data string) {
	t.Helper()
	must(t, b.Send(p, id, broker.Addr{}, label, []byte(data)))
}

func TestLateJoinerIsToldInOrder(t *testing.T) {
	b, al, bo := newBook(t), newPerson("al"), newPerson("bo")
	id := b.mustMake(t, al, 0)
	send(t, b, al, id, "candidate", "0")
	send(t, b, al, id, "offer", "1")
	send(t, b, al, id, "candidate", "1")
	send(t, b, al, id, "mood", "!")
	send(t, b, al, id, "offer", "2")
	send(t, b, al, id, "candidate", "2")
	send(t, b, al, id, "candidate", "3")
	must(t, b.Join(bo, id, Pass{}, func(i Info) {
		if len(i.Others) != 1 || i.Others[0] != Party(al) || len(bo.told) > 0 {
			t.Errorf("joined with %v, told %q", i, bo.told)
		}
	}))
	bo.wants(t, "offer al2", "candidate al0", "candidate al2", "candidate al3", "mood al!")
	al.wants(t, "joined bo")
	send(t, b, bo, id, "answer", "a")
	al.wants(t, "answer boa")
	must(t, b.Leave(bo, id))
	al.wants(t, "left bo")
	must(t, b.Join(bo, id, Pass{}, nothing))
	bo.wants(t) // nothing is told twice
	must(t, b.Hangup(bo, id))
	al.wants(t, "joined bo", "hangup bo")
	bo.wants(t, "hangup bo")
	wantErr(t, b.Join(bo, id, Pass{}, nothing), signal.ErrNoSuchCall)
	if len(b.calls)+len(b.members)+len(b.users) != 0 {
		t.Errorf("something is left: %v %v %v", b.calls, b.members, b.users)
	}
}

func TestWhoMayBeInACall(t *testing.T) {
	b := newBook(t, func(l *signal.CallLimits) { l.Parties, l.PerClient, l.Total = 3, 2, 3 })
	al, bo, cy, di := newPerson("al"), newPerson("bo"), newPerson("cy"), newPerson("di")
	wantErr(t, b.Create(al, 4, nothing), signal.ErrCallLimit)
	wantErr(t, b.Create(al, 1, nothing), signal.ErrCallLimit)
	id := b.mustMake(t, al, 3)
	wantErr(t, b.Join(al, id, Pass{}, nothing), signal.ErrInCall)
	wantErr(t, b.Join(bo, "nowhere", Pass{}, nothing), signal.ErrNoSuchCall)
	must(t, b.Join(bo, id, Pass{}, nothing))
	must(t, b.Check(cy, id, Pass{}))
	must(t, b.Join(cy, id, Pass{}, nothing))
	wantErr(t, b.Check(di, id, Pass{}), signal.ErrCallFull)
	wantErr(t, b.Join(di, id, Pass{}, nothing), signal.ErrCallFull)
	wantErr(t, b.Send(di, id, broker.Addr{}, "x", nil), signal.ErrNotInCall)
	wantErr(t, b.Leave(di, id), signal.ErrNotInCall)
	wantErr(t, b.Hangup(di, id), signal.ErrNotInCall)
	b.mustMake(t, al, 2)
	wantErr(t, b.Create(al, 2, nothing), signal.ErrCallLimit) // of al
	b.mustMake(t, di, 2)
	wantErr(t, b.Create(di, 2, nothing), signal.ErrCallLimit) // of all
}

func TestOneCallPerUser(t *testing.T) {
	b := newBook(t, func(l *signal.CallLimits) { l.OnePerUser = true })
	al, again, bo := newPerson("al"), newPerson("al"), newPerson("bo")
	id := b.mustMake(t, al, 0)
	wantErr(t, b.Create(al, 0, nothing), signal.ErrInCall)
	wantErr(t, b.Create(again, 0, nothing), signal.ErrInCall)
	other := b.mustMake(t, bo, 0)
	wantErr(t, b.Join(al, other, Pass{}, nothing), signal.ErrInCall)
	b.Drop(al)
	must(t, b.Join(again, id, Pass{}, nothing))
}

func TestReservedCalls(t *testing.T) {
	b, al, bo := newBook(t), newPerson("al"), newPerson("bo")
	must(t, b.Join(al, "room", Pass{Listed: true}, nothing))
	wantErr(t, b.Join(bo, "room", Pass{}, nothing), signal.ErrCallBarred)
	must(t, b.Join(bo, "room", Pass{Listed: true}, nothing))
	wantErr(t, b.Join(bo, "no room", Pass{Listed: true}, nothing), signal.ErrNoSuchCall)
}

func TestMessagesToOne(t *testing.T) {
	b := newBook(t, func(l *signal.CallLimits) { l.Parties = 3 })
	al, bo, cy := newPerson("al"), newPerson("bo"), newPerson("cy")
	id := b.mustMake(t, al, 3)
	must(t, b.Join(bo, id, Pass{}, nothing))
	must(t, b.Join(cy, id, Pass{}, nothing))
	al.told, bo.told, cy.told = nil, nil, nil
	must(t, b.Send(al, id, cy.addr, "offer", []byte("1")))
	wantErr(t, b.Send(al, id, newPerson("x").addr, "offer", nil), signal.ErrPeerOffline)
	cy.busy = true
	wantErr(t, b.Send(al, id, cy.addr, "offer", []byte("2")), signal.ErrPeerBusy)
	wantErr(t, b.Send(al, id, broker.Addr{}, "offer", []byte("3")), signal.ErrPeerBusy)
	bo.wants(t, "offer al3")
	cy.wants(t, "offer al1")
	b.Drop(al)
	bo.wants(t, "gone al")
}

func TestKeptIsBounded(t *testing.T) {
	b := newBook(t, func(l *signal.CallLimits) { l.KeptBytes = 10*overhead + 1000 })
	al := newPerson("al")
	id := b.mustMake(t, al, 0)
	send(t, b, al, id, "offer", string(make([]byte, 900)))
	wantErr(t, b.Send(al, id, broker.Addr{}, "candidate", make([]byte, 2000)), signal.ErrCallCrowded)
	send(t, b, al, id, "offer", string(make([]byte, 1000))) // takes the first one's room
	b.Drop(al)
	if k := b.calls[id].kept; k.bytes != 0 || k.count != 0 {
		t.Errorf("%d bytes and %d messages of who has gone are kept", k.bytes, k.count)
	}
	b = newBook(t)
	id = b.mustMake(t, al, 0)
	for range maxKept {
		send(t, b, al, id, "x", "")
	}
	wantErr(t, b.Send(al, id, broker.Addr{}, "x", nil), signal.ErrCallCrowded)
}

func TestCallsEndByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook(t, func(l *signal.CallLimits) { l.Unjoined = 10 * time.Minute })
		al, bo := newPerson("al"), newPerson("bo")
		unjoined, empty, back := b.mustMake(t, al, 0), b.mustMake(t, al, 0), b.mustMake(t, al, 0)
		must(t, b.Leave(al, empty))
		must(t, b.Leave(al, back))
		<-time.After(EmptyWait - time.Second)
		must(t, b.Join(al, back, Pass{}, nothing))
		must(t, b.Join(bo, back, Pass{}, nothing))
		al.told = nil
		<-time.After(2 * time.Second)
		synctest.Wait()
		wantErr(t, b.Join(bo, empty, Pass{}, nothing), signal.ErrNoSuchCall)
		<-time.After(10 * time.Minute)
		synctest.Wait()
		al.wants(t, "unjoined ")
		wantErr(t, b.Join(bo, unjoined, Pass{}, nothing), signal.ErrNoSuchCall)
		must(t, b.Hangup(bo, back))
	})
}

func TestIDs(t *testing.T) {
	seen := make(map[string]bool)
	for range 1000 {
		id := newID()
		if !ValidID(id) || len(id) != 16 || seen[id] {
			t.Fatalf("ID %q", id)
		}
		seen[id] = true
	}
	for _, id := range []string{"", "a b", "ä", "a/b", string(make([]byte, 65))} {
		if ValidID(id) {
			t.Errorf("%q is valid", id)
		}
	}
}
