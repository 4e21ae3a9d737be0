package signal

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"icebox/signal/broker"
)

func TestOnlyPairsExchangeMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		al, bo, eve := signIn(t, h, "al"), signIn(t, h, "bo"), signIn(t, h, "eve")
		wantErr(t, al.client.SendInPair(broker.Answer, "bo", nil), ErrNotPaired)
		wantErr(t, al.client.SendInPair(broker.Candidate, "bo", nil), ErrNotPaired)
		al.client.Leave("bo")
		wantErr(t, al.client.Offer("bo", []byte("o")), nil)
		wantErr(t, bo.client.SendInPair(broker.Answer, "al", []byte("a")), nil)
		wantErr(t, bo.client.SendInPair(broker.Candidate, "al", []byte("c")), nil)
		wantErr(t, eve.client.SendInPair(broker.Candidate, "al", []byte("x")), ErrNotPaired)
		eve.client.Leave("al")
		synctest.Wait()
		wantFrames(t, bo, "offer al o")
		wantFrames(t, al, "answer bo a", "candidate bo c")
		wantFrames(t, eve)

		bo.client.Leave("al")
		bo.client.Leave("al")
		synctest.Wait()
		wantFrames(t, al, "answer bo a", "candidate bo c", "leave bo ")
		wantErr(t, al.client.SendInPair(broker.Candidate, "bo", nil), ErrNotPaired)
		al.client.Leave("bo")
		synctest.Wait()
		wantFrames(t, bo, "offer al o")
	})
}

func TestClientWithoutANameCannotSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		bo, eve := signIn(t, h, "bo"), connect(t, h, Profile{Encode: testProfile.Encode, Loose: true})
		wantErr(t, eve.client.Offer("bo", nil), ErrNotSignedIn)
		wantErr(t, eve.client.SendInPair(broker.Answer, "bo", nil), ErrNotSignedIn)
		eve.client.Leave("bo")
		synctest.Wait()
		wantFrames(t, bo)
	})
}

// With OneCall, a client is notified of a leave only if it belongs to the client's latest call.
func TestLeaveFromAnEarlierPairEndsNoCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		al, bo, cy := signIn(t, h, "al"), signIn(t, h, "bo"), signIn(t, h, "cy")
		wantErr(t, al.client.Offer("bo", nil), nil) // bo never answers
		wantErr(t, cy.client.Offer("bo", nil), nil)
		wantErr(t, bo.client.SendInPair(broker.Answer, "cy", nil), nil)
		al.client.conn.Abort()
		synctest.Wait()
		wantFrames(t, bo, "offer al ", "offer cy ")
		cy.client.conn.Abort()
		synctest.Wait()
		wantFrames(t, bo, "offer al ", "offer cy ", "leave cy ")
	})
}

func TestPairsAreBetweenClientsNotNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		al, bo := signIn(t, h, "al"), signIn(t, h, "bo")
		wantErr(t, al.client.Offer("bo", nil), nil)
		wantErr(t, bo.client.SignIn("bob"), nil) // the same client under a new name
		wantErr(t, al.client.SendInPair(broker.Candidate, "bo", []byte("1")), nil)
		wantErr(t, bo.client.SendInPair(broker.Answer, "al", []byte("2")), nil)
		stranger := signIn(t, h, "bo")
		wantErr(t, stranger.client.SendInPair(broker.Answer, "al", []byte("3")), ErrNotPaired)
		stranger.client.Leave("al")
		synctest.Wait()
		wantFrames(t, bo, "offer al ", "candidate al 1")
		wantFrames(t, al, "answer bob 2")
		wantFrames(t, stranger)
	})
}

func TestOffersOfStrangersDoNotDisplaceACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		al, bo := signIn(t, h, "al"), signIn(t, h, "bo")
		wantErr(t, al.client.Offer("bo", nil), nil)
		wantErr(t, bo.client.SendInPair(broker.Answer, "al", nil), nil)
		for i := range 3 * maxPairs {
			eve := signIn(t, h, fmt.Sprint("eve ", i))
			wantErr(t, eve.client.Offer("bo", nil), nil)
			synctest.Wait()
		}
		wantErr(t, bo.client.SendInPair(broker.Candidate, "al", []byte("1")), nil)
		wantErr(t, al.client.SendInPair(broker.Candidate, "bo", []byte("2")), nil)
		synctest.Wait()
		wantFrames(t, al, "answer bo ", "candidate bo 1")
		if got := bo.got(); got[len(got)-1] != "candidate al 2" {
			t.Errorf("bo's last message is %q, want al's", got[len(got)-1])
		}
		if n := len(bo.client.pairs); n != maxPairs {
			t.Errorf("bo has %d pairs, want %d", n, maxPairs)
		}
	})
}

func TestLooseProfilesNeedNoOffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		loose := testProfile
		loose.Loose = true
		al, bo := connect(t, h, loose), connect(t, h, loose)
		wantErr(t, al.client.SignIn("al"), nil)
		wantErr(t, bo.client.SignIn("bo"), nil)
		strict := signIn(t, h, "strict")
		wantErr(t, al.client.SendInPair(broker.Candidate, "bo", []byte("1")), nil)
		wantErr(t, al.client.SendInPair(broker.Candidate, "strict", []byte("1")), nil)
		wantErr(t, al.client.SendInPair(broker.Candidate, "nobody", []byte("1")), ErrPeerOffline)
		al.client.Leave("bo")
		al.client.Leave("strict")
		synctest.Wait()
		wantFrames(t, bo, "candidate al 1", "leave al ")
		wantFrames(t, strict)
	})
}

func TestTwoHubsShareABroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := broker.NewMemory()
		h1, h2 := newHub(t, Options{Engine: engine}), newHub(t, Options{Engine: engine})
		al, bo := signIn(t, h1, "al"), signIn(t, h2, "bo")
		wantErr(t, connect(t, h2, testProfile).client.SignIn("al"), ErrNameTaken)
		wantErr(t, al.client.Offer("bo", []byte("o")), nil)
		wantErr(t, bo.client.SendInPair(broker.Answer, "al", []byte("a")), nil)
		synctest.Wait()
		wantFrames(t, bo, "offer al o")
		wantFrames(t, al, "answer bo a")

		al.mu.Lock()
		al.answersPings = false
		al.mu.Unlock()
		newcomer := connect(t, h2, testProfile)
		wantErr(t, newcomer.client.SignIn("al"), nil)
		synctest.Wait()
		wantFrames(t, bo, "offer al o", "leave al ")
		if al.reason != Superseded {
			t.Errorf("the old al ended with reason %v, want %v", al.reason, Superseded)
		}
	})
}

func TestEveryMetricExistsFromTheStart(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	h := newHub(t, Options{Registerer: reg})
	h.InitMetrics("classic")
	n, err := testutil.GatherAndCount(reg)
	if err != nil {
		t.Fatal(err)
	}
	if expect := 5 + 1 + int(reasons) + 2*int(broker.Kinds) + len(refusals); n != expect {
		t.Errorf("%d series, want %d", n, expect)
	}
	problems, err := testutil.GatherAndLint(reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	if _, err := New(Options{Registerer: reg}, DefaultLimits()); err == nil {
		t.Error("two hubs registered their metrics in one registry")
	}
}
