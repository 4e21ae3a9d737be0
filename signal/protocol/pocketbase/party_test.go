package pocketbase

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"icebox/signal"
	"icebox/signal/broker"
)

// fakeStream is a client that records the events that it is sent. It needs no connection.
type fakeStream struct {
	busy bool // refuse all events

	mu    sync.Mutex
	heard string        // the events
	from  []broker.ID   // the sender of each batch of events
	end   signal.Reason // the argument of End
}

func (e *fakeStream) Forward(from broker.ID, events []byte) error {
	if e.busy {
		return signal.ErrPeerBusy
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard += string(events)
	e.from = append(e.from, from)
	return nil
}

func (e *fakeStream) End(why signal.Reason) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.end = why
}

// why returns the reason for which the stream was ended, or signal.Gone if it was not.
func (e *fakeStream) why() signal.Reason {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.end
}

func (e *fakeStream) text() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.heard
}

// subscribe subscribes a fakeStream to topics.
func (p *page) subscribe(topics ...string) (*fakeStream, *subscriber) {
	p.t.Helper()
	e := new(fakeStream)
	l := p.handler.book.addStream(newID(), e)
	p.must("POST", streamPath, (&eventSource{id: l.id}).subscription(topics...))
	return e, l
}

// received returns the events since the last call, and forgets them.
func (e *fakeStream) received() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	text := e.heard
	e.heard = ""
	return text
}

// Only clients that know a call's ID receive its events. Once it is answered, only its two parties do.
func TestPrivacy(t *testing.T) {
	s := newServer(t)
	everything := []string{"calls", "calls/*", "offer_candidates", "offer_candidates/*", "answer_candidates/*", "users", "users/*", "*"}
	caller, callee := s.open(), s.open("other@example.com", "another password")
	spy, ofSameUser := s.open("other@example.com", "another password"), s.open()
	spies := make([]*fakeStream, 2)
	spies[0], _ = spy.subscribe(everything...)
	spies[1], _ = ofSameUser.subscribe(everything...)
	id := caller.call()
	caller.offerCandidate(id, 1)
	reader := s.open("other@example.com", "another password")
	reader.read(id)
	readerHears, _ := reader.subscribe(everything...)
	if readerHears.received() == "" {
		t.Error("a reader that knows the ID received nothing")
	}
	reader.answerCandidate(id, 5)
	callee.read(id)
	callee.answer(id)
	readerHears.received()
	callerHears, _ := caller.subscribe("answer_candidates")
	caller.offerCandidate(id, 2)
	callee.answerCandidate(id, 6)
	caller.hangUp(id)
	for i, e := range spies {
		if e.text() != "" {
			t.Errorf("spy %d received %s", i, e.text())
		}
	}
	if callerHears.text() == "" {
		t.Error("the creator received nothing")
	}
	// The other reader has the same user as the answerer, as all pages of the demo may have. It remains a party, but its
	// candidates are dropped.
	for _, c := range []string{"candidate:5"} {
		if contains(callerHears.text(), c) {
			t.Errorf("the creator received %s from a reader that did not answer", c)
		}
	}
}

// A third user who knows the ID of an answered call can neither read nor change it, and receives none of its events.
func TestStrangers(t *testing.T) {
	s := newServer(t, anyone)
	caller, callee, late, stranger := s.open(), s.open("other@example.com", "another password"), s.open("late", "x"), s.open("stranger", "x")
	id := caller.call()
	late.read(id)
	lateHears, _ := late.subscribe("offer_candidates", "calls/"+id)
	late.answerCandidate(id, 5)
	callee.read(id)
	callee.answer(id)
	lateHears.received()
	callerHears, _ := caller.subscribe("calls/"+id, "answer_candidates")
	if text := callerHears.received(); contains(text, "candidate:5") {
		t.Errorf("the creator received a candidate of a reader that did not answer: %s", text)
	}
	for name, p := range map[string]*page{"a reader that did not answer": late, "a stranger": stranger} {
		p.refused("GET", callsPath+"/"+id, "", 404, notFound)
		p.refused("PATCH", callsPath+"/"+id, `{"answer":`+answerJSON+`}`, 400, notAllowed)
		p.refused("PATCH", callsPath+"/"+id, `{"offer":`+offerJSON+`}`, 404, notFound)
		p.refused("POST", offersPath, candidateJSON(id, 1), 400, notFound)
		p.refused("POST", answersPath, candidateJSON(id, 1), 400, notFound)
		p.refused("DELETE", callsPath+"/"+id, "", 403, notAllowed)
		e, _ := p.subscribe("calls/"+id, "offer_candidates", "answer_candidates")
		caller.offerCandidate(id, 2)
		callee.answerCandidate(id, 6)
		if e.text() != "" {
			t.Errorf("%s received %s", name, e.text())
		}
	}
	caller.hangUp(id)
	if lateHears.text() != "" {
		t.Errorf("the reader that did not answer received %s", lateHears.text())
	}
}

// Two tabs of one browser can call each other, although they share one stored token, so that the second tab's sign-in
// replaces the token of the first.
func TestTabsOfOneBrowser(t *testing.T) {
	for name, as := range map[string][]string{"a user": {identity, password}, "anyone": {"al", "x"}} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, anyone)
			first := s.open(as...)
			id := first.call()
			hears, l := first.subscribe("calls/"+id, "answer_candidates/*")
			second := s.open(as...)
			first.token = second.token
			second.read(id)
			second.answerCandidate(id, 1)
			second.answer(id)
			answererHears, _ := second.subscribe("offer_candidates/*")
			first.offerCandidate(id, 2)
			second.answerCandidate(id, 3)
			first.must("POST", streamPath, (&eventSource{id: l.id}).subscription("answer_candidates/*"))
			for _, want := range []string{`"action":"update"`, "candidate:1", "candidate:3"} {
				if !contains(hears.text(), want) {
					t.Errorf("the creator did not receive %s, but %s", want, hears.text())
				}
			}
			first.hangUp(id)
			if text := answererHears.text(); !contains(text, "candidate:2") || !contains(text, `"action":"delete"`) {
				t.Errorf("the answerer received only %s", text)
			}
		})
	}
}

// The number of readers is limited. Further readers displace the earliest ones, but never the creator.
func TestReaders(t *testing.T) {
	s := newServer(t)
	caller := s.open()
	hears, _ := caller.subscribe("answer_candidates")
	id := caller.call()
	var last *page
	for range 3 * maxReaders {
		last = s.open("other@example.com", "another password")
		last.read(id)
	}
	if n, joined := len(s.handler.book.calls[id].parties), len(s.handler.book.callsBySignIn); n != maxReaders+1 || joined != n {
		t.Errorf("%d parties, %d sign-ins with calls, want %d", n, joined, maxReaders+1)
	}
	last.answer(id)
	last.answerCandidate(id, 1)
	if !contains(hears.text(), "candidate:1") {
		t.Error("the creator received nothing")
	}
	caller.hangUp(id)
}

// Events for a stream whose queue has no room for them are dropped and counted. A new subscription delivers the records.
func TestBusyStream(t *testing.T) {
	s := newServer(t)
	caller, callee := s.open(), s.open()
	id := caller.call()
	hears, l := caller.subscribe("answer_candidates")
	callee.answer(id)
	hears.busy = true
	callee.answerCandidate(id, 1)
	if n := s.count("unheard_total", ""); n != 1 || hears.text() != "" {
		t.Errorf("%v batches dropped, received %q", n, hears.text())
	}
	hears.busy = false
	caller.must("POST", streamPath, (&eventSource{id: l.id}).subscription())
	caller.must("POST", streamPath, (&eventSource{id: l.id}).subscription("answer_candidates"))
	if !contains(hears.text(), "candidate:1") {
		t.Errorf("received %q", hears.text())
	}
}

// Queued events count against the sign-in that caused them, so that the core can stop one client from flooding another.
// Replays and hang-ups count against nobody, because each happens once.
func TestSenders(t *testing.T) {
	s := newServer(t)
	caller, callee := s.open(), s.open()
	id := caller.call()
	hears, _ := caller.subscribe("calls/"+id, "answer_candidates")
	callee.answer(id)
	callee.answerCandidate(id, 1)
	caller.must("PATCH", callsPath+"/"+id, "{}")
	caller.hangUp(id)
	if f := hears.from; len(f) != 4 || f[0].IsZero() || f[0] != f[1] || f[2] == f[1] || f[2].IsZero() || !f[3].IsZero() {
		t.Errorf("the senders are %v", f)
	}
}

// Only the answerer may answer again. An answer of anyone else is refused, because the creator's page has accepted the first
// one.
func TestSecondAnswer(t *testing.T) {
	s := newServer(t)
	caller, callee, third := s.open(), s.open(), s.open()
	id := caller.call()
	third.read(id)
	callee.answer(id)
	callee.answer(id)
	third.refused("PATCH", callsPath+"/"+id, `{"answer":`+answerJSON+`}`, 400, notAllowed)
}

// The bytes of a call are those of its records. They are freed when another reader's candidates are dropped and when the
// call ends.
func TestBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		caller, callee := s.open(), s.open()
		third := s.open("other@example.com", "another password")
		id := caller.call()
		for i := range 10 {
			caller.offerCandidate(id, i)
			third.answerCandidate(id, i)
			callee.answerCandidate(id, i)
		}
		before := s.count("bytes", "")
		callee.answer(id)
		candidate := float64(len(`{"candidate":"candidate:0 1 udp 1 192.0.2.1 5000 typ host","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"abcd"}`) + overhead)
		if after := s.count("bytes", ""); after != before-10*candidate+float64(len(answerJSON)) {
			t.Errorf("%v bytes, then %v", before, after)
		}
		if n := s.handler.book.calls[id].bytes; float64(n) != s.count("bytes", "") {
			t.Errorf("the call counts %d bytes, the metric %v", n, s.count("bytes", ""))
		}
		caller.hangUp(id)
		if n := s.count("bytes", ""); n != 0 {
			t.Errorf("%v bytes are left", n)
		}
	})
}

// The records of one call are limited in number and in bytes.
func TestFullCall(t *testing.T) {
	limits := map[string]func(*signal.Limits){
		"many":  func(l *signal.Limits) { l.Calls.KeptBytes = 1 << 30 },
		"bytes": func(l *signal.Limits) { l.Calls.KeptBytes = 8 << 10 },
	}
	for name, set := range limits {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, func(o *setup) { set(&o.limits) })
			p := s.open()
			id := p.call()
			made := 0
			for ; made < 2*maxCandidates; made++ {
				if status, _ := p.ask("POST", offersPath, candidateJSON(id, made)); status != 200 {
					break
				}
			}
			if name == "many" && made != maxCandidates || name == "bytes" && (made < 8 || made > 30) {
				t.Errorf("%d candidates fit into a call", made)
			}
			p.refused("POST", offersPath, candidateJSON(id, 1), 400, callFull)
			p.hangUp(id)
		})
	}
}

// The bytes of all calls, and of the calls created from one address, are limited.
func TestFullStore(t *testing.T) {
	for name, set := range map[string]func(*signal.CallLimits){
		"all": func(l *signal.CallLimits) { l.KeptTotal = 1000 }, "of an address": func(l *signal.CallLimits) { l.KeptPerAddr = 1000 },
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, func(o *setup) { set(&o.limits.Calls) })
			p := s.open()
			id := p.call()
			p.offerCandidate(id, 1)
			p.refused("POST", offersPath, candidateJSON(id, 2), 503, storeFull)
			p.refused("POST", callsPath, `{"offer":{"type":"offer","sdp":"`+strings.Repeat("s", 100)+`"}}`, 503, storeFull)
			p.refused("PATCH", callsPath+"/"+id, description("offer", 400), 503, storeFull)
			p.must("PATCH", callsPath+"/"+id, description("offer", 1)) // smaller than the old offer
			s.access.from("192.0.2.77")
			if status, _ := p.ask("POST", callsPath, description("offer", 700)); (status == 200) != (name == "of an address") {
				t.Errorf("from another address: %d", status)
			}
			if name == "of an address" { // a hang-up makes room again
				p.hangUp(id)
				s.access.from("192.0.2.7")
				p.call()
			}
		})
	}
}
