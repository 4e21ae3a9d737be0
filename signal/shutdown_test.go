package signal

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"icebox/signal/broker"
)

func TestShutdownEndsAllClientsAndWaitsForThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		var all []*fakeConn
		for _, name := range strings.Fields("al bo cy") {
			all = append(all, signIn(t, h, name))
		}
		wantErr(t, all[0].client.Offer("bo", nil), nil)
		wantErr(t, h.Shutdown(t.Context()), nil)
		for _, w := range all {
			if w.reason != Restarting {
				t.Errorf("ended with reason %v, want %v", w.reason, Restarting)
			}
		}
		_, err := h.Connect(discardConn{}, testProfile, Visitor{})
		wantErr(t, err, ErrRestarting)
		wantErr(t, h.Shutdown(t.Context()), nil)
	})
}

// stubborn is a Conn whose remote end ignores the close frame.
type stubborn struct{ *fakeConn }

func (stubborn) Close(Reason) {}

func TestShutdownAbortsClientsThatDoNotDisconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		w := &fakeConn{cut: make(chan struct{})}
		c, err := h.Connect(stubborn{w}, testProfile, Visitor{})
		wantErr(t, err, nil)
		go func() {
			<-w.cut
			c.Close()
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		wantErr(t, h.Shutdown(ctx), context.DeadlineExceeded)
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("shutdown took %v, want 3s", took)
		}
	})
}

// slowEngine is a broker whose claims block until wait is closed.
type slowEngine struct {
	broker.Engine
	wait chan struct{}
}

func (e slowEngine) Join(ctx context.Context, n broker.Node) (broker.Broker, broker.ID, error) {
	b, id, err := e.Engine.Join(ctx, n)
	return slowBroker{b, e.wait}, id, err
}

type slowBroker struct {
	broker.Broker
	wait chan struct{}
}

func (b slowBroker) Claim(ctx context.Context, name string, client broker.ID) error {
	select {
	case <-b.wait:
		return b.Broker.Claim(ctx, name, client)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestClaimsTimeOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := slowEngine{broker.NewMemory(), make(chan struct{})}
		h := newHub(t, Options{Engine: e})
		w := connect(t, h, testProfile)
		start := time.Now()
		wantErr(t, w.client.SignIn("al"), ErrUnavailable)
		if took := time.Since(start); took != 4*time.Second {
			t.Errorf("the claim took %v, want 4s", took)
		}
		close(e.wait)
		wantErr(t, w.client.SignIn("al"), nil)
	})
}

func TestSignInIsRefusedDuringShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		w := &fakeConn{cut: make(chan struct{}), answersPings: true}
		c, err := h.Connect(stubborn{w}, testProfile, Visitor{})
		wantErr(t, err, nil)
		result := make(chan error)
		go func() { result <- h.Shutdown(t.Context()) }()
		synctest.Wait()
		wantErr(t, c.SignIn("al"), ErrRestarting)
		c.Close()
		wantErr(t, <-result, nil)
	})
}

func TestClientThatEndsDuringItsClaimReleasesTheName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := slowEngine{broker.NewMemory(), make(chan struct{})}
		h := newHub(t, Options{Engine: e})
		w := &fakeConn{cut: make(chan struct{}), answersPings: true}
		c, err := h.Connect(w, testProfile, Visitor{})
		wantErr(t, err, nil)
		go func() { // the client's reader
			_ = c.SignIn("al")
			<-w.cut
			c.Close()
		}()
		synctest.Wait()
		c.End(Gone)
		close(e.wait)
		synctest.Wait()
		signIn(t, h, "al")
	})
}

func TestInvalidOptionsAndLimitsAreRefused(t *testing.T) {
	for name, change := range map[string]func(*Options, *Limits){
		"pong may come after the next ping": func(o *Options, _ *Limits) { o.PongWithin = time.Minute },
		"negative wait":                     func(o *Options, _ *Limits) { o.WriteWait = -1 },
		"unknown access":                    func(_ *Options, l *Limits) { l.Access = "closed" },
		"by key without keys":               func(_ *Options, l *Limits) { l.Access = ByKey },
		"empty key":                         func(_ *Options, l *Limits) { l.Keys = []Key{{Name: "web"}} },
		"key without a name":                func(_ *Options, l *Limits) { l.Keys = []Key{{Key: "0123456789"}} },
		"message limit too low":             func(_ *Options, l *Limits) { l.MaxMessage = 10 },
		"zero rate":                         func(_ *Options, l *Limits) { l.MessagesPerSecond = 0 },
		"zero burst":                        func(_ *Options, l *Limits) { l.MessageBurst = 0 },
		"queue too short":                   func(_ *Options, l *Limits) { l.QueueMessages = 1 },
		"queue below one message":           func(_ *Options, l *Limits) { l.QueueBytes = 1000 },
		"negative connections":              func(_ *Options, l *Limits) { l.ConnsPerAddr = -1 },
		"negative mints":                    func(_ *Options, l *Limits) { l.MintsTotal = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			o, l := Options{}, DefaultLimits()
			change(&o, &l)
			if _, err := New(o, l); err == nil {
				t.Error("New returned no error")
			}
		})
	}
	l := DefaultLimits()
	l.TrustedProxies = append(l.TrustedProxies, netip.MustParsePrefix("10.0.0.0/8"))
	if err := l.Validate(); err != nil {
		t.Error(err)
	}
}
