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

// dialects are the topics by which versions of the SDK subscribe to the candidates.
var dialects = map[string]struct{ offers, answers string }{
	"0.19":              {"offer_candidates", "answer_candidates"},
	"0.28":              {"offer_candidates/*", "answer_candidates/*"},
	"0.28 with options": {"offer_candidates/*?options=%7B%22query%22%3A%7B%7D%7D", "answer_candidates/*?options=%7B%7D"},
}

// A call of the demo works from beginning to end, with the topics of each version of the SDK.
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

// Session descriptions and candidates arrive with the same content that was sent, whatever its whitespace and escapes.
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

// A new subscription is sent the candidates that already exist. PocketBase itself does not send them, so a late answerer
// misses them.
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

	// A creator that reconnects gets the answer before the candidates, whatever the order of its topics.
	back := caller.listen("answer_candidates/*", "calls/"+id)
	back.wants("calls/"+id+" update offer:true answer:true", "answer_candidates/* create candidate:8", "answer_candidates/* create candidate:9")

	// Records of a topic that the stream already had are not sent again.
	callee.must("POST", streamPath, hears.subscription("offer_candidates/*", "calls/"+id))
	hears.wants("calls/" + id + " update offer:true answer:true")
	caller.offerCandidate(id, 3)
	hears.wants("offer_candidates/* create candidate:3")
}

// Candidates of the answerer that arrive before its answer are held back until the answer was sent.
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

// A request that the client aborts takes effect once it was sent. The SDK aborts a request when the next one of its kind
// begins.
func TestAbortedRequests(t *testing.T) {
	s := start(t)
	caller, callee := s.open(), s.open()
	id := caller.call()
	callee.read(id)
	callee.answer(id)
	hears := callee.listen("offer_candidates")

	// The request's context has ended before the handler runs.
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	r := httptest.NewRequestWithContext(gone, "POST", offersPath, strings.NewReader(candidateJSON(id, 1)))
	r.Header.Set("Authorization", caller.token)
	s.ServeHTTP(httptest.NewRecorder(), r)
	hears.wants("offer_candidates create candidate:1")

	// The client sends the whole request and closes the connection at once.
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

// A hang-up is announced as the deletion of a candidate, even if the creator sent none.
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
	// Hanging up twice, or a call that does not exist, succeeds.
	caller.hangUp(id)
	caller.hangUp("aaaaaaaaaaaaaaa")
	// An answerer that subscribes after the end is told too.
	callee.listen("offer_candidates/*").wants("offer_candidates/* delete nothing")
}
