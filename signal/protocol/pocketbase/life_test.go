package pocketbase

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"icebox/signal"
)

// A call ends by itself after the time and for the reason in each case. The cases differ in whether the call is answered,
// and when its creator's stream begins, ends and begins again.
func TestLifetimes(t *testing.T) {
	for name, c := range map[string]struct {
		listens, answered bool
		leaves            time.Duration // the stream, after the call was made; 0: never
		returns           time.Duration // after that; 0: never
		ends              time.Duration // the call
		why               endReason
	}{
		"the creator never subscribes": {ends: absenceLimit, why: deserted},
		"answered, never subscribes":   {answered: true, ends: absenceLimit, why: deserted},
		"nobody answers":               {listens: true, ends: time.Hour, why: unanswered},
		"the creator leaves":           {listens: true, leaves: 10 * time.Minute, ends: 11 * time.Minute, why: deserted},
		"the creator leaves, answered": {listens: true, answered: true, leaves: 5 * time.Hour, ends: 5*time.Hour + absenceLimit, why: deserted},
		"the creator returns in time":  {listens: true, answered: true, leaves: time.Hour, returns: 59 * time.Second, ends: maxAge, why: tooOld},
		"a call that lasts a day":      {listens: true, answered: true, ends: maxAge, why: tooOld},
		"returns in time, no answer":   {listens: true, leaves: time.Minute, returns: 50 * time.Second, ends: time.Hour, why: unanswered},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				caller, callee := s.open(), s.open("other@example.com", "another password")
				began := time.Now()
				id := caller.call()
				if c.answered {
					callee.answer(id)
				} else {
					callee.read(id)
				}
				hears, _ := callee.subscribe("offer_candidates/*")
				if c.listens {
					_, l := caller.subscribe("calls/"+id, "answer_candidates/*")
					if c.leaves > 0 {
						time.Sleep(c.leaves)
						s.handler.book.removeStream(l)
					}
					if c.returns > 0 {
						time.Sleep(c.returns)
						caller.subscribe("calls/"+id, "answer_candidates/*")
					}
				}
				time.Sleep(time.Until(began.Add(c.ends - time.Second)))
				synctest.Wait()
				if s.count("calls", "") != 1 || hears.text() != "" {
					t.Fatalf("the call has ended too early: %s", hears.text())
				}
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if s.count("calls", "") != 0 || s.count("calls_ended_total", c.why.String()) != 1 {
					t.Errorf("the call has not ended as %s", c.why)
				}
				if !contains(hears.text(), `"action":"delete"`) || !contains(hears.text(), id) {
					t.Errorf("the other party was sent %q", hears.text())
				}
				time.Sleep(endedFor + time.Second)
				synctest.Wait()
				b := s.handler.book
				if len(b.calls) != 0 || len(b.callsBySignIn) != 0 || len(b.activeByKey) != 0 || b.bytes != 0 || b.endedCalls != 0 || b.active != 0 {
					t.Errorf("left behind: %d calls, %d sign-ins, %v, %d bytes, %d ended calls", len(b.calls), len(b.callsBySignIn), b.activeByKey, b.bytes, b.endedCalls)
				}
			})
		})
	}
}

// A party that subscribes within endedFor after the end of its call is told of the end. Other users are not told.
func TestEndIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		caller, callee, other := s.open(), s.open(), s.open()
		id := caller.call()
		callee.answer(id)
		caller.hangUp(id)
		time.Sleep(endedFor - time.Second)
		if e, _ := other.subscribe("offer_candidates"); e.text() != "" {
			t.Errorf("another user was sent %s", e.text())
		}
		if e, _ := callee.subscribe("offer_candidates"); !contains(e.text(), id) {
			t.Errorf("the answerer was sent %q", e.text())
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if e, _ := callee.subscribe("offer_candidates"); e.text() != "" {
			t.Errorf("after endedFor, the answerer was sent %s", e.text())
		}
	})
}

// Calls are limited per sign-in, per user, per address and in all. At a limit, a call that its creator has abandoned is
// replaced.
func TestCallLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, anyone, func(o *setup) {
			o.limits.Calls.Total, o.limits.Calls.PerClient = 100, 3
			o.limits.MessageBurst = 10_000
		})
		p := s.open()
		for range 3 {
			p.call()
		}
		p.refused("POST", callsPath, "{}", 400, tooManyCalls)
		time.Sleep(replaceAfter)
		p.call()
		if n := s.count("calls_ended_total", "replaced"); n != 1 {
			t.Errorf("%v calls were replaced", n)
		}
		// A user has at most its share of all calls, however many sign-ins and addresses it uses.
		for i := range 40 {
			s.access.from(fmt.Sprintf("198.51.100.%d", i))
			q := s.open()
			for range 3 {
				q.ask("POST", callsPath, "{}")
			}
		}
		if n := s.count("calls", ""); n != minShare {
			t.Errorf("a user has %v calls", n)
		}
		// All users together have at most Total.
		for i := range 50 {
			s.access.from(fmt.Sprintf("203.0.113.%d", i))
			s.open(fmt.Sprint(i), "x").ask("POST", callsPath, "{}")
		}
		if n := s.count("calls", ""); n != 100 {
			t.Errorf("%v calls, want 100", n)
		}
		s.open("last", "x").refused("POST", callsPath, "{}", 400, tooManyCalls)
		time.Sleep(absenceLimit)
		synctest.Wait()
		// An address has at most its share, however many users it has.
		s.access.from("203.0.113.200")
		for i := range minShare + 10 {
			s.open(fmt.Sprint(i), "x").ask("POST", callsPath, "{}")
		}
		if n := s.count("calls", ""); n != minShare {
			t.Errorf("an address has %v calls", n)
		}
	})
}

func TestOneCallPerUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, func(o *setup) { o.limits.Calls.OnePerUser = true })
		p, again := s.open(), s.open()
		id := p.call()
		_, l := p.subscribe("calls/" + id)
		time.Sleep(replaceAfter)
		again.refused("POST", callsPath, "{}", 400, tooManyCalls)
		s.open("other@example.com", "another password").call()
		s.handler.book.removeStream(l)
		time.Sleep(replaceAfter)
		again.call()
		if status, _ := p.ask("GET", callsPath+"/"+id, ""); status != 404 {
			t.Error("the abandoned call was not replaced")
		}
	})
}

// Lowered limits apply to new calls and new records, and to records that are added to existing calls.
func TestLoweredLimits(t *testing.T) {
	s := newServer(t)
	p := s.open()
	id := p.call()
	l := signal.DefaultLimits()
	l.Calls.PerClient, l.Calls.KeptBytes = 1, 100
	if err := s.hub.SetLimits(l); err != nil {
		t.Fatal(err)
	}
	p.refused("POST", callsPath, "{}", 400, tooManyCalls)
	p.refused("POST", offersPath, candidateJSON(id, 1), 400, callFull)
	p.hangUp(id)
}
