package signal

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestClientsArePingedAndKeptWhileTheyAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		var clients []*fakeConn
		for range 40 { // spread over the slots of the wheel
			clients = append(clients, connect(t, h, testProfile))
			sleep(700 * time.Millisecond)
		}
		sleep(10 * time.Minute)
		for i, w := range clients {
			if n := w.pinged(); n < 59 || n > 64 {
				t.Errorf("client %d was pinged %d times in about ten minutes", i, n)
			}
			select {
			case <-w.cut:
				t.Errorf("client %d was ended: %v", i, w.reason)
			default:
			}
		}
	})
}

func TestSilentClientIsEndedAndItsNameFreed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		w := signIn(t, h, "al")
		w.mu.Lock()
		w.answersPings = false
		w.mu.Unlock()
		start := time.Now()
		<-w.cut
		if took := time.Since(start); took < 14*time.Second || took > 16*time.Second {
			t.Errorf("ended after %v, want 10s and 5s", took)
		}
		if w.reason != PongTimeout {
			t.Errorf("reason %v", w.reason)
		}
		synctest.Wait()
		signIn(t, h, "al")
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
			t.Errorf("a client that talks was ended: %v", w.reason)
		default:
		}
	})
}

func TestClashWithALivingClientIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		old := signIn(t, h, "al")
		young := connect(t, h, testProfile)
		start := time.Now()
		wantErr(t, young.client.SignIn("al"), ErrNameTaken)
		if took := time.Since(start); took > time.Second {
			t.Errorf("the refusal took %v", took)
		}
		if old.pinged() != 1 || old.client.Name() != "al" {
			t.Errorf("the old one was pinged %d times and is called %q", old.pinged(), old.client.Name())
		}
	})
}

func TestClashWithADeadClientTakesOver(t *testing.T) {
	for name, half := range map[string]func(*fakeConn){
		"silent": func(w *fakeConn) { w.answersPings = false },
		"jammed": func(w *fakeConn) { w.held = make(chan struct{}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t, Options{})
				old := signIn(t, h, "al")
				bo := signIn(t, h, "bo")
				wantErr(t, bo.client.Offer("al", []byte("1")), nil)
				synctest.Wait()
				old.mu.Lock()
				half(old)
				old.mu.Unlock()

				young := connect(t, h, testProfile)
				start := time.Now()
				wantErr(t, young.client.SignIn("al"), nil)
				if took := time.Since(start); took > time.Second {
					t.Errorf("taking over took %v", took)
				}
				<-old.cut
				synctest.Wait()
				wantFrames(t, bo, "leave al ")
				// The old connection is gone, and the name is still the new one's.
				wantErr(t, bo.client.Offer("al", []byte("2")), nil)
				synctest.Wait()
				wantFrames(t, young, "offer bo 2")
				if _, ok := h.SignedInClient(old.client.Token()); ok {
					t.Error("the old token still works")
				}
			})
		})
	}
}

func TestClashWithAClientThatIsEndingTakesOverAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		old := signIn(t, h, "al")
		release := old.holdWrites()
		old.client.Send([]byte("x"))
		old.client.End(TooLarge) // waits behind x
		young := connect(t, h, testProfile)
		start := time.Now()
		wantErr(t, young.client.SignIn("al"), nil)
		if took := time.Since(start); took != 0 {
			t.Errorf("taking over took %v", took)
		}
		release()
		<-old.cut
		synctest.Wait()
		if young.client.Name() != "al" {
			t.Error("the new one lost its name")
		}
	})
}

func TestManyProbesShareAPing(t *testing.T) {
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
			t.Errorf("%d pings for 50 probes at once", n)
		}
	})
}

func TestFastClientsWaitAndAreToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		w := connect(t, h, testProfile)
		refused, start := 0, time.Now()
		admit := func(size int) {
			wait, tooFast := w.client.CountMessage(size)
			sleep(wait)
			if tooFast {
				refused++
			}
		}
		for range 100 + 30*10 {
			admit(200)
		}
		if took := time.Since(start).Round(time.Second); took != 10*time.Second {
			t.Errorf("a burst of 100 and 300 more took %v, want 10s at 30 a second", took)
		}
		if refused != 1 {
			t.Errorf("told %d times", refused)
		}
		sleep(time.Minute)
		start = time.Now()
		for range 100 / 17 {
			admit(256 << 10)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("the burst after a rest took %v", took)
		}
		admit(256 << 10)
		if took := time.Since(start); took == 0 {
			t.Error("large messages count no more than small ones")
		}
	})
}

func TestExpiredTokensEndTheirClients(t *testing.T) {
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
			t.Error("ended early")
		default:
		}
		sleep(12 * time.Second)
		<-w.cut
		if w.reason != Expired {
			t.Errorf("ended for %v", w.reason)
		}
	})
}
