package pocketbase

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"icebox/signal"
)

// When calls end by themselves. Each case has a call that is answered or not, and a maker whose stream comes and goes.
func TestLifetimes(t *testing.T) {
	for name, c := range map[string]struct {
		listens, answered bool
		leaves            time.Duration // the stream, after the call was made; 0: never
		returns           time.Duration // after that; 0: never
		ends              time.Duration // the call
		why               endReason
	}{
		"a creator who never listens":    {ends: absenceLimit, why: deserted},
		"answered, never listens":        {answered: true, ends: absenceLimit, why: deserted},
		"nobody answers":                 {listens: true, ends: time.Hour, why: unanswered},
		"the creator goes":               {listens: true, leaves: 10 * time.Minute, ends: 11 * time.Minute, why: deserted},
		"the creator goes from a call":   {listens: true, answered: true, leaves: 5 * time.Hour, ends: 5*time.Hour + absenceLimit, why: deserted},
		"the creator is back in time":    {listens: true, answered: true, leaves: time.Hour, returns: 59 * time.Second, ends: maxAge, why: tooOld},
		"a call that goes on for a day":  {listens: true, answered: true, ends: maxAge, why: tooOld},
		"back in time, and nobody there": {listens: true, leaves: time.Minute, returns: 50 * time.Second, ends: time.Hour, why: unanswered},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				defer s.shutdown()
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
					t.Error("the call hasn't ended")
				}
				if !contains(hears.text(), `"action":"delete"`) || !contains(hears.text(), id) {
					t.Errorf("the other one heard %q", hears.text())
				}
				time.Sleep(endedFor + time.Second)
				synctest.Wait()
				b := s.handler.book
				if len(b.calls) != 0 || len(b.callsBySignIn) != 0 || len(b.activeByKey) != 0 || b.bytes != 0 || b.endedCalls != 0 || b.active != 0 {
					t.Errorf("something is left: %d calls, %d sessions, %v, %d bytes, %d graves", len(b.calls), len(b.callsBySignIn), b.activeByKey, b.bytes, b.endedCalls)
				}
			})
		})
	}
}

// Who was answered is told of the end when it comes back within two minutes, and only once it is its call.
func TestTheEndIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		defer s.shutdown()
		caller, callee, other := s.open(), s.open(), s.open()
		id := caller.call()
		callee.answer(id)
		caller.hangUp(id)
		time.Sleep(endedFor - time.Second)
		if e, _ := other.subscribe("offer_candidates"); e.text() != "" {
			t.Errorf("somebody else heard %s", e.text())
		}
		if e, _ := callee.subscribe("offer_candidates"); !contains(e.text(), id) {
			t.Errorf("the answerer heard %q", e.text())
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if e, _ := callee.subscribe("offer_candidates"); e.text() != "" {
			t.Errorf("after its time: %s", e.text())
		}
	})
}

// How many calls there may be. A page that is reloaded again and again leaves calls behind, which make room.
func TestHowManyCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, anyone, func(o *setup) {
			o.limits.Calls.Total, o.limits.Calls.PerClient = 100, 3
			o.limits.MessageBurst = 10_000
		})
		defer s.shutdown()
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
		// A user has no more than a share, whatever number of sessions it has, and from whatever address.
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
		// Nor has an address, and there is an end of all.
		for i := range 50 {
			s.access.from(fmt.Sprintf("203.0.113.%d", i))
			s.open(fmt.Sprint(i), "x").ask("POST", callsPath, "{}")
		}
		if n := s.count("calls", ""); n != 100 {
			t.Errorf("%v calls of 100", n)
		}
		s.open("last", "x").refused("POST", callsPath, "{}", 400, tooManyCalls)
		time.Sleep(absenceLimit)
		synctest.Wait()
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
		defer s.shutdown()
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
			t.Error("the call of a page that is gone is still there")
		}
	})
}

// Limits that a reload lowers hold for what comes.
func TestLimitsChange(t *testing.T) {
	s := newServer(t)
	defer s.shutdown()
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
