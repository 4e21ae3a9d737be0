package signal

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestClientsThatAnswerPingsStayConnected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		var clients []*fakeConn
		for range 40 { // in different slots of the wheel
			clients = append(clients, connect(t, h, testProfile))
			sleep(700 * time.Millisecond)
		}
		sleep(10 * time.Minute)
		for i, w := range clients {
			if n := w.pinged(); n < 59 || n > 64 {
				t.Errorf("client %d was pinged %d times in about ten minutes, want 59 to 64", i, n)
			}
			select {
			case <-w.cut:
				t.Errorf("client %d was ended with reason %v", i, w.reason)
			default:
			}
		}
	})
}

func TestClientThatDoesNotAnswerPingsIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		w := signIn(t, h, "al")
		w.mu.Lock()
		w.answersPings = false
		w.mu.Unlock()
		start := time.Now()
		<-w.cut
		if took := time.Since(start); took < 14*time.Second || took > 16*time.Second {
			t.Errorf("ended after %v, want a ping after 10s and 5s without a pong", took)
		}
		if w.reason != PongTimeout {
			t.Errorf("ended with reason %v, want %v", w.reason, PongTimeout)
		}
		synctest.Wait()
		signIn(t, h, "al") // the name is free again
	})
}

func TestAnyFrameIsASignOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		w := connect(t, h, testProfile)
		w.mu.Lock()
		w.answersPings = false
		w.mu.Unlock()
		for range 100 {
			sleep(4 * time.Second)
			w.client.Seen()
		}
		select {
		case <-w.cut:
			t.Errorf("a client that sends frames, but no pongs, was ended with reason %v", w.reason)
		default:
		}
	})
}

func TestNameOfAResponsiveClientIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		old := signIn(t, h, "al")
		newcomer := connect(t, h, testProfile)
		start := time.Now()
		wantErr(t, newcomer.client.SignIn("al"), ErrNameTaken)
		if took := time.Since(start); took > time.Second {
			t.Errorf("the refusal took %v, want at most 1s", took)
		}
		if old.pinged() != 1 || old.client.Name() != "al" {
			t.Errorf("the holder was pinged %d times, want 1, and has the name %q, want al", old.pinged(), old.client.Name())
		}
	})
}

func TestNameOfAnUnresponsiveClientIsTakenOver(t *testing.T) {
	for name, breakConn := range map[string]func(*fakeConn){
		"no pongs":     func(w *fakeConn) { w.answersPings = false },
		"writes block": func(w *fakeConn) { w.held = make(chan struct{}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t, Options{})
				old := signIn(t, h, "al")
				bo := signIn(t, h, "bo")
				wantErr(t, bo.client.Offer("al", []byte("1")), nil)
				synctest.Wait()
				old.mu.Lock()
				breakConn(old)
				old.mu.Unlock()

				newcomer := connect(t, h, testProfile)
				start := time.Now()
				wantErr(t, newcomer.client.SignIn("al"), nil)
				if took := time.Since(start); took > time.Second {
					t.Errorf("taking over the name took %v", took)
				}
				<-old.cut
				synctest.Wait()
				wantFrames(t, bo, "leave al ")
				// The old connection has ended since, and did not release the name of its successor.
				wantErr(t, bo.client.Offer("al", []byte("2")), nil)
				synctest.Wait()
				wantFrames(t, newcomer, "offer bo 2")
				if _, ok := h.SignedInClient(old.client.Token()); ok {
					t.Error("the token of the old client is still valid")
				}
			})
		})
	}
}

func TestNameOfAnEndingClientIsTakenOverAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		old := signIn(t, h, "al")
		release := old.holdWrites()
		old.client.Send([]byte("x"))
		old.client.End(TooLarge) // the close frame waits behind x
		newcomer := connect(t, h, testProfile)
		start := time.Now()
		wantErr(t, newcomer.client.SignIn("al"), nil)
		if took := time.Since(start); took != 0 {
			t.Errorf("taking over the name took %v", took)
		}
		release()
		<-old.cut
		synctest.Wait()
		if newcomer.client.Name() != "al" {
			t.Error("the old client released the name of its successor")
		}
	})
}

func TestConcurrentProbesShareAPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		old := signIn(t, h, "al")
		release := old.holdWrites()
		results := make(chan error)
		for range 50 {
			w := connect(t, h, testProfile)
			go func() { results <- w.client.SignIn("al") }()
		}
		synctest.Wait()
		release()
		for range 50 {
			wantErr(t, <-results, ErrNameTaken)
		}
		if n := old.pinged(); n != 1 {
			t.Errorf("%d pings for 50 concurrent probes, want 1", n)
		}
	})
}

func TestClientIsEndedWhenItsTokenExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		p := testProfile
		p.Expires = true
		w := &fakeConn{cut: make(chan struct{}), answersPings: true}
		v := Visitor{Grant: Grant{Name: "al", Expires: time.Now().Add(time.Minute)}}
		c, err := h.Connect(w, p, v)
		if err != nil {
			t.Fatal(err)
		}
		w.mu.Lock()
		w.client = c
		w.mu.Unlock()
		go func() { <-w.cut; c.Close() }()
		sleep(59 * time.Second)
		select {
		case <-w.cut:
			t.Error("ended before the token expired")
		default:
		}
		sleep(12 * time.Second)
		<-w.cut
		if w.reason != Expired {
			t.Errorf("ended with reason %v, want %v", w.reason, Expired)
		}
	})
}
