package pocketbase

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// How SDK 0.19 and later ones call the collections.
var dialects = map[string]struct{ offers, answers string }{
	"0.19":              {"offer_candidates", "answer_candidates"},
	"0.28":              {"offer_candidates/*", "answer_candidates/*"},
	"0.28 with options": {"offer_candidates/*?options=%7B%22query%22%3A%7B%7D%7D", "answer_candidates/*?options=%7B%7D"},
}

// The tutorial's call, from both sides and from begin to end.
func TestCall(t *testing.T) {
	for name, d := range dialects {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			caller, callee := s.open(), s.open("other@example.com", "another password")
			id := caller.call()
			calls := "calls/" + id
			callerHears := caller.listen(calls, d.answers)
			caller.offerCandidate(id, 1)
			if got := callee.read(id); got["offer"] == nil || got["answer"] != nil || got["user_id"] != caller.user || got["id"] != id {
				t.Fatalf("%v", got)
			}
			callee.answer(id)
			calleeHears := callee.listen(d.offers)
			callee.answerCandidate(id, 7)
			caller.offerCandidate(id, 2)
			callerHears.wants(calls+" update offer:true answer:true", d.answers+" create candidate:7")
			calleeHears.wants(d.offers+" create candidate:1", d.offers+" create candidate:2")

			caller.must("POST", streamPath, callerHears.subscription(d.answers)) // calls.unsubscribe(callId)
			caller.hangUp(id)
			calleeHears.wants(d.offers+" delete candidate:1", d.offers+" delete candidate:2")
			callerHears.wants(d.answers + " delete candidate:7")
			for _, p := range []*page{caller, callee} {
				if status, _ := p.ask("GET", callsPath+"/"+id, ""); status != 404 {
					t.Errorf("the call is still there: %d", status)
				}
			}
			if n, ended := s.count("bytes", ""), s.count("calls_ended_total", "hangup"); n != 0 || ended != 1 {
				t.Errorf("%v bytes are left, %v calls ended", n, ended)
			}
		})
	}
}

// A payload passes as it was written.
func TestPayload(t *testing.T) {
	s := start(t)
	caller, callee := s.open(), s.open()
	id := caller.call()
	var want attributes
	if err := json.Unmarshal([]byte(offerJSON), &want); err != nil {
		t.Fatal(err)
	}
	if got := callee.read(id)["offer"].(attributes); got["sdp"] != want["sdp"] || got["type"] != "offer" {
		t.Errorf("got %q", got)
	}
	hears := caller.listen("answer_candidates", "calls/"+id)
	callee.answer(id)
	callee.must("POST", answersPath,
		"{ \"data\" : {\n \"candidate\" :\r\n\"candidate:a \\n <b> \u2028 \xc3\xa9\" } , \"call_id\":\""+id+"\", \"x\":1}")
	hears.next()
	if m := hears.next(); m.record()["data"].(attributes)["candidate"] != "candidate:a \n <b> \u2028 é" {
		t.Errorf("%q", m.data)
	}
}

// Late-join hole: the original tells nobody of candidates that were there before.
func TestReplay(t *testing.T) {
	s := start(t)
	caller, callee := s.open(), s.open()
	id := caller.call()
	for n := range 3 {
		caller.offerCandidate(id, n)
	}
	callee.read(id)
	callee.answerCandidate(id, 8)
	callee.answer(id)
	callee.answerCandidate(id, 9)
	hears := callee.listen("offer_candidates/*")
	hears.wants("offer_candidates/* create candidate:0", "offer_candidates/* create candidate:1", "offer_candidates/* create candidate:2")

	// A caller who comes back, whatever the order of its topics.
	back := caller.listen("answer_candidates/*", "calls/"+id)
	back.wants("calls/"+id+" update offer:true answer:true", "answer_candidates/* create candidate:8", "answer_candidates/* create candidate:9")

	// What was subscribed to already isn't told again.
	callee.must("POST", streamPath, hears.subscription("offer_candidates/*", "calls/"+id))
	hears.wants("calls/" + id + " update offer:true answer:true")
	caller.offerCandidate(id, 3)
	hears.wants("offer_candidates/* create candidate:3")
}

// Order race: an answerer's candidates may come before its answer.
func TestCandidatesWaitForTheAnswer(t *testing.T) {
	s := start(t)
	caller, callee := s.open(), s.open()
	id := caller.call()
	hears := caller.listen("calls/"+id, "answer_candidates")
	callee.read(id)
	callee.answerCandidate(id, 1)
	callee.answerCandidate(id, 2)
	caller.must("POST", streamPath, hears.subscription("calls/"+id))
	caller.must("POST", streamPath, hears.subscription("calls/"+id, "answer_candidates"))
	callee.answer(id)
	callee.answerCandidate(id, 3)
	hears.wants("calls/"+id+" update offer:true answer:true",
		"answer_candidates create candidate:1", "answer_candidates create candidate:2", "answer_candidates create candidate:3")
	if n := s.count("held_total", ""); n != 2 {
		t.Errorf("%v were held", n)
	}
}

// Lost candidates: the SDK aborts a request when the next of its kind begins. What it has sent counts.
func TestAbortedRequests(t *testing.T) {
	s := start(t)
	caller, callee := s.open(), s.open()
	id := caller.call()
	callee.read(id)
	callee.answer(id)
	hears := callee.listen("offer_candidates")

	// As the handler sees it: the request's context has ended before the handler begins.
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	r := httptest.NewRequestWithContext(gone, "POST", offersPath, strings.NewReader(candidateJSON(id, 1)))
	r.Header.Set("Authorization", caller.token)
	s.ServeHTTP(httptest.NewRecorder(), r)
	hears.wants("offer_candidates create candidate:1")

	// As it is on the wire: everything is sent, and the connection is closed at once.
	for n := 2; n < 12; n++ {
		u, _ := url.Parse(s.url)
		conn, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		req, _ := http.NewRequest("POST", s.url+offersPath, strings.NewReader(candidateJSON(id, n)))
		req.Header.Set("Authorization", caller.token)
		if err := req.Write(conn); err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	heard := make(map[string]bool)
	for range 10 {
		heard[hears.next().String()] = true
	}
	if len(heard) != 10 {
		t.Errorf("heard %v", heard)
	}
}

// Hang-up is the end of a candidate, even where none has ever come.
func TestHangUpWithoutCandidates(t *testing.T) {
	s := start(t)
	caller, callee := s.open(), s.open()
	id := caller.call()
	callee.read(id)
	callee.answer(id)
	hears := callee.listen("offer_candidates/*")
	caller.hangUp(id)
	m := hears.next()
	if m.String() != "offer_candidates/* delete nothing" || m.record()["call_id"] != id {
		t.Errorf("%v", m)
	}
	// Twice, or of a call that the daemon has forgotten: the page that does it wants to go on.
	caller.hangUp(id)
	caller.hangUp("aaaaaaaaaaaaaaa")
	// Who was about to listen is told.
	callee.listen("offer_candidates/*").wants("offer_candidates/* delete nothing")
}
