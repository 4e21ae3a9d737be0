package signal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"icebox/signal/broker"
)

func TestSlowReaderIsDisconnectedAndBlocksNoSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		slow := signIn(t, h, "slow")
		slow.holdWrites()
		start := time.Now()
		for i := range 300 {
			slow.client.Send(fmt.Append(nil, i))
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("sending to a client that does not read took %v", took)
		}
		<-slow.cut
		synctest.Wait()
		if slow.client.reason != SlowReader {
			t.Errorf("ended with reason %v, want %v", slow.client.reason, SlowReader)
		}
		signIn(t, h, "slow")
	})
}

func TestOneSenderCannotGetARecipientDisconnected(t *testing.T) {
	for name, size := range map[string]int{"many messages": 1, "large messages": 200 << 10} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t, Options{})
				eve, al, bo := signIn(t, h, "eve"), signIn(t, h, "al"), signIn(t, h, "bo")
				release := bo.holdWrites()
				busy := 0
				for range 200 {
					if err := eve.client.Offer("bo", make([]byte, size)); err != nil {
						wantErr(t, err, ErrPeerBusy)
						busy++
					}
				}
				if busy == 0 {
					t.Error("none of 200 messages to a client that does not read was refused")
				}
				wantErr(t, al.client.Offer("bo", []byte("hello")), nil)
				release()
				synctest.Wait()
				got := bo.got()
				if last := got[len(got)-1]; last != "offer al hello" {
					t.Errorf("bo's last message is %.40q, want al's", last)
				}
				wantErr(t, eve.client.Offer("bo", []byte("again")), nil)
			})
		})
	}
}

func TestBlockedWriteEndsTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		w := signIn(t, h, "al")
		w.holdWrites()
		w.client.Send([]byte("x"))
		start := time.Now()
		<-w.cut
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("a blocked write failed after %v, want 10s", took)
		}
		synctest.Wait()
		if w.client.reason != WriteFailed {
			t.Errorf("ended with reason %v, want %v", w.client.reason, WriteFailed)
		}
	})
}

func TestMessagesArriveInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		al, bo := signIn(t, h, "al"), signIn(t, h, "bo")
		expect := []string{"offer al 0"}
		wantErr(t, al.client.Offer("bo", []byte("0")), nil)
		for round := range 5 {
			release := bo.holdWrites()
			for i := range 50 {
				payload := fmt.Sprint(round, "-", i)
				expect = append(expect, "candidate al "+payload)
				wantErr(t, al.client.SendInPair(broker.Candidate, "bo", []byte(payload)), nil)
			}
			release()
			synctest.Wait()
		}
		wantFrames(t, bo, expect...)
	})
}

func TestQueuedFramesAreWrittenBeforeTheCloseFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		w := connect(t, h, testProfile)
		release := w.holdWrites()
		w.client.Send([]byte("first"))
		w.client.Send([]byte("second"))
		w.client.End(TooLarge)
		w.client.Send([]byte("too late"))
		release()
		<-w.cut
		wantFrames(t, w, "first", "second")
	})
}

func TestEmptyQueueReleasesItsMemory(t *testing.T) {
	var q queue
	for range 3 {
		for i := range 100 {
			q.push(item{data: []byte(strings.Repeat("x", i))})
		}
		for range 100 {
			i, ok := q.next()
			if !ok {
				t.Fatal("the queue lost an item")
			}
			q.markWritten(i)
		}
		if _, ok := q.next(); ok || q.bytes != 0 || cap(q.items) > spareItems {
			t.Fatalf("an empty queue counts %d bytes and has a capacity of %d items", q.bytes, cap(q.items))
		}
	}
}

// discardConn is a Conn that discards everything.
type discardConn struct{}

func (discardConn) Write([]byte, time.Time) error { return nil }
func (discardConn) Ping(time.Time) error          { return nil }
func (discardConn) Close(Reason)                  {}
func (discardConn) Abort()                        {}

func BenchmarkRouteCandidate(b *testing.B) {
	h, err := New(Options{}, DefaultLimits())
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := h.Shutdown(context.Background()); err != nil {
			b.Error(err)
		}
	}()
	var clients [2]*Client
	for i := range clients {
		if clients[i], err = h.Connect(discardConn{}, testProfile, Visitor{}); err != nil {
			b.Fatal(err)
		}
		defer clients[i].Close()
		if err := clients[i].SignIn(fmt.Sprint(i)); err != nil {
			b.Fatal(err)
		}
	}
	payload := []byte(strings.Repeat("c", 200))
	if err := clients[0].Offer("1", payload); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		for {
			err := clients[0].SendInPair(broker.Candidate, "1", payload)
			if err == nil {
				break
			}
			if !errors.Is(err, ErrPeerBusy) { // the writer is slower than this loop
				b.Fatal(err)
			}
		}
	}
}
