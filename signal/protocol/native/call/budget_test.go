package call

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"icebox/signal"
	"icebox/signal/broker"
)

// However many calls the clients of one address fill with messages, these stay within the address's limit, and clients of
// other addresses can still send. When the limit of all calls is reached, messages are refused until a call ends.
func TestKeptMessagesStayWithinTheLimits(t *testing.T) {
	const share, all = 1 << 20, 5 << 19
	r := newRegistry(t, func(l *signal.CallLimits) { l.KeptPerAddr, l.KeptTotal, l.PerClient = share, all, 50 })
	data := make([]byte, 30<<10)
	fill := func(from string) (senders []*person, ids []string) {
		for i := range 10 {
			m := newPerson(fmt.Sprint(from, i))
			m.from = netip.MustParseAddr(from)
			senders = append(senders, m)
			for range 50 {
				id := r.mustCreate(t, m, 0)
				ids = append(ids, id)
				for range 2 {
					if err := r.Send(m, id, broker.Addr{}, "x", data); err != nil {
						wantErr(t, err, signal.ErrCallsCrowded)
					}
				}
			}
		}
		return senders, ids
	}
	senders, ids := fill("192.0.2.1")
	if n := r.budget.Total(); n > share || n < share-len(data)-overhead-1 {
		t.Errorf("%d bytes are kept from one address, want the most that fits in %d", n, share)
	}
	al := newPerson("al")
	al.from = netip.MustParseAddr("192.0.2.2")
	own := r.mustCreate(t, al, 0)
	send(t, r, al, own, "offer", "{}")
	others, _ := fill("192.0.2.3")
	more, _ := fill("192.0.2.4")
	if n := r.budget.Total(); n > all || n < all-len(data)-overhead-1 {
		t.Errorf("%d bytes are kept in all, want the most that fits in %d", n, all)
	}
	wantErr(t, r.Send(al, own, broker.Addr{}, "x", data), signal.ErrCallsCrowded)
	must(t, r.Hangup(senders[0], ids[0]))
	send(t, r, al, own, "x", string(data)) // fits now that a call has ended
	bo := newPerson("bo")
	must(t, r.Join(bo, own, Pass{}, nothing))
	if len(bo.received) != 2 {
		t.Errorf("bo received %d messages, want 2", len(bo.received))
	}
	for _, p := range append(append(append(senders, others...), more...), al, bo) {
		r.Drop(p)
	}
	if n := r.budget.Total(); n != 0 {
		t.Errorf("%d bytes are kept after all parties have left, want 0", n)
	}
}

// After any sequence of operations, the budget equals the bytes of the messages that the calls keep, in all and for each
// address.
func TestBudgetEqualsKeptBytes(t *testing.T) {
	r := newRegistry(t, func(l *signal.CallLimits) { l.KeptPerAddr, l.KeptTotal, l.PerClient = 3000, 5000, 100 })
	var people []*person
	for i := range 6 {
		p := newPerson(fmt.Sprint(i))
		p.from = netip.AddrFrom4([4]byte{192, 0, 2, byte(i / 2)})
		people = append(people, p)
	}
	var ids []string
	for range 4 {
		ids = append(ids, r.mustCreate(t, people[rand.IntN(len(people))], 0))
	}
	for range 5000 {
		p, i := people[rand.IntN(len(people))], rand.IntN(len(ids))
		label := []string{"offer", "answer", "candidate", "x"}[rand.IntN(4)]
		switch rand.IntN(12) {
		case 0:
			if r.Hangup(p, ids[i]) == nil {
				ids[i] = r.mustCreate(t, p, 0)
			}
		case 1:
			_ = r.Leave(p, ids[i])
		case 2:
			r.Drop(p)
		case 3:
			_ = r.Join(p, ids[i], Pass{}, nothing)
		default:
			_ = r.Send(p, ids[i], broker.Addr{}, label, make([]byte, rand.IntN(600)))
		}
		keptOf := make(map[netip.Addr]int)
		sum := 0
		for _, c := range r.calls {
			sum += c.kept.bytes
			for _, s := range c.kept.senders {
				for _, e := range s.all() {
					keptOf[s.addrKey] += size(e)
				}
			}
		}
		if r.budget.Total() != sum {
			t.Fatalf("the budget has %d bytes, but the calls keep %d", r.budget.Total(), sum)
		}
		for a, n := range keptOf {
			if r.budget.AddrTotal(a) != n {
				t.Fatalf("the budget has %d bytes of %v, but the calls keep %d", r.budget.AddrTotal(a), a, n)
			}
		}
	}
}
