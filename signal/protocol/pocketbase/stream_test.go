package pocketbase

import (
	"context"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"icebox/signal"
	"icebox/signal/signaltest"
)

// A shutdown ends all streams, so that the SDK connects to the next daemon, and refuses new ones.
func TestShutdown(t *testing.T) {
	s := start(t)
	p := s.open()
	hears := []*eventSource{p.listen("calls"), p.connect()}
	s.shutdown()
	for _, h := range hears {
		h.ends()
	}
	p.refused("GET", streamPath, "", 503, restarting)
	if n := s.access.admitted(); n != 0 {
		t.Errorf("%d connections were not released", n)
	}
}

// When a page is closed, its stream is removed and its connection released.
func TestClosedPages(t *testing.T) {
	s := start(t)
	p := s.open()
	for range 3 {
		p.listen("calls").cancel()
	}
	signaltest.Until(t, "the connections are released", func() bool { return s.access.admitted() == 0 })
	s.shutdown() // waits for the streams' goroutines
	if b := s.handler.book; len(b.streams) != 0 || len(b.streamsBySignIn) != 0 {
		t.Errorf("%d streams of %d sign-ins are left", len(b.streams), len(b.streamsBySignIn))
	}
}

// A stream that does not subscribe within subscribeWait is ended. A stream that has subscribed stays.
func TestUnsubscribedStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		p := s.open()
		book := s.handler.book
		streams := make([]*idleResponse, 2)
		for i := range streams {
			streams[i] = newIdle()
			go func() {
				s.ServeHTTP(streams[i], httptest.NewRequest("GET", streamPath, nil))
				close(streams[i].done)
			}()
		}
		synctest.Wait()
		p.must("POST", streamPath, (&eventSource{id: streams[0].id()}).subscription("calls"))
		time.Sleep(subscribeWait + time.Second)
		synctest.Wait()
		if streams[0].ended() || !streams[1].ended() || len(book.streams) != 1 {
			t.Errorf("ended: %v and %v, %d streams", streams[0].ended(), streams[1].ended(), len(book.streams))
		}
		// Regular comments keep proxies from cutting off a stream without events.
		before := strings.Count(streams[0].text(), ": \n\n")
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := strings.Count(streams[0].text(), ": \n\n") - before; n < 4 || streams[0].ended() {
			t.Errorf("%d comments in a minute", n)
		}
		s.shutdown()
		<-streams[0].done
	})
}

// A stream ends when the token of its latest subscription expires.
func TestStreamsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		p := s.open()
		e, l := p.subscribe("calls")
		time.Sleep(tokenLife - time.Hour)
		p.token = p.must("POST", refreshPath, "")["token"].(string)
		p.must("POST", streamPath, (&eventSource{id: l.id}).subscription("calls"))
		other, gone := p.subscribe("calls")
		s.handler.book.removeStream(gone)
		time.Sleep(tokenLife - 2*time.Second)
		synctest.Wait()
		if e.why() != signal.Gone {
			t.Error("the stream has ended too early")
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if e.why() != signal.Expired || other.why() != signal.Gone {
			t.Errorf("ended for %v, and a stream that was already removed for %v", e.why(), other.why())
		}
	})
}

// A sign-in has at most maxStreams streams. A further one ends the oldest.
func TestStreamLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		p := s.open()
		var all []*fakeStream
		for range maxStreams + 2 {
			e, _ := p.subscribe("calls")
			all = append(all, e)
			time.Sleep(time.Second)
		}
		for i, e := range all {
			if ended := e.why() == signal.Replaced; ended != (i < 2) {
				t.Errorf("stream %d of %d has ended: %v", i+1, len(all), ended)
			}
		}
		p.hangUp(p.call())
		for i, e := range all {
			if hears := e.text() != ""; hears != (i >= 2) {
				t.Errorf("stream %d of %d received events: %v", i+1, len(all), hears)
			}
		}
	})
}

// A client that does not read its stream is cut off without making the sender wait. The call continues.
func TestSlowReader(t *testing.T) {
	s := start(t, func(o *setup) {
		o.limits.Calls.KeptBytes, o.limits.MaxMessage, o.limits.QueueBytes, o.limits.ResumeBytes = 1<<20, 512<<10, 512<<10, 512<<10
		o.hub.WriteWait = 200 * time.Millisecond
	})
	caller, callee := s.open(), s.open()
	id := caller.call()
	stuck := &page{server: s, token: caller.token}
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET " + streamPath + " HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	var stream string
	signaltest.Until(t, "the stream appears", func() bool {
		s.handler.book.mu.Lock()
		defer s.handler.book.mu.Unlock()
		for name := range s.handler.book.streams {
			stream = name
		}
		return stream != ""
	})
	stuck.must("POST", streamPath, (&eventSource{id: stream}).subscription("calls/"+id))
	big := `{"answer":{"type":"answer","sdp":"` + strings.Repeat("s", 200<<10) + `"}}`
	signaltest.Until(t, "the client that does not read is cut off", func() bool {
		callee.must("PATCH", callsPath+"/"+id, big)
		for range 1 + len(big)/requestUnit { // everything that the request counts for, because this test is not about the rate
			s.handler.rates.Refund(s.access.Caller().Addr, ratesOf(s.hub.Limits()))
		}
		return s.access.admitted() == 0
	})
	back := caller.listen("calls/" + id)
	back.wants("calls/" + id + " update offer:true answer:true")
}

// A shutdown whose context has already ended still ends the streams.
func TestShutdownWithoutTime(t *testing.T) {
	s := start(t)
	hears := s.open().listen("calls")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.hub.Shutdown(ctx)
	hears.ends()
}

var _ signal.Conn = (*streamConn)(nil)
