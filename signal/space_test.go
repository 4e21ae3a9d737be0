package signal

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"icebox/signal/broker"
)

// profileOfSpace is the profile of a protocol with names of its own and without pairs.
func profileOfSpace(space string) Profile {
	return Profile{
		Protocol: "foreign", Namespace: space, ByID: true, Pairs: -1,
		Encode: func(b []byte, m broker.Message) []byte {
			return fmt.Appendf(b, "%v %s %s %s", m.Kind, m.Label, m.FromName, m.Payload)
		},
		Presence: func(name string, held bool) []byte { return fmt.Appendf(nil, "presence %q %v", name, held) },
	}
}

func TestSpacesDoNotMeet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		bob := signIn(t, h, "bob")
		spaces := map[string]*fakeConn{}
		for _, space := range []string{"one", "two", "one\x00app"} {
			w := connect(t, h, profileOfSpace(space))
			wantErr(t, w.client.SignIn("bob"), nil)
			spaces[space] = w
		}
		other := connect(t, h, profileOfSpace("one"))
		wantErr(t, other.client.SignIn("bob"), ErrNameTaken)
		wantErr(t, other.client.SignIn("al"), nil)
		wantErr(t, other.client.Watch([]string{"bob"}), nil)

		note := broker.Message{Kind: broker.Note, Label: "hi"}
		wantErr(t, other.client.SendTo(Recipient{Name: "bob"}, note), nil)
		hostile := signIn(t, h, "eve")
		for _, name := range []string{"one\x00bob", "two\x00bob", "one\x00app\x00bob", "\x00bob", "app\x00bob"} {
			wantErr(t, hostile.client.Offer(name, nil), ErrPeerOffline)
			wantErr(t, hostile.client.SendInPair(broker.Candidate, name, nil), ErrNotPaired)
			wantErr(t, hostile.client.Watch([]string{name}), ErrBadName)
			wantErr(t, hostile.client.SignIn(name), ErrBadName)
			wantErr(t, other.client.SendTo(Recipient{Name: name}, note), ErrPeerOffline)
			wantErr(t, other.client.SignIn(name), ErrBadName)
		}
		if spaces["two"].client.TakeOver(other.client) {
			t.Error("a name was taken over into another space")
		}
		synctest.Wait()
		wantFrames(t, bob)
		wantFrames(t, spaces["one"], "note hi al ")
		wantFrames(t, spaces["two"])
		wantFrames(t, spaces["one\x00app"])
		wantFrames(t, other, `presence "bob" true`)

		spaces["two"].Abort()
		bob.Abort()
		synctest.Wait()
		wantFrames(t, other, `presence "bob" true`)
		spaces["one"].Abort()
		synctest.Wait()
		wantFrames(t, other, `presence "bob" true`, `presence "bob" false`)
		wantErr(t, other.client.SignIn("bob"), nil)
	})
}

// The longest name has room in the longest space, and a longer one makes no client.
func TestSpaceLength(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		w := connect(t, h, profileOfSpace(strings.Repeat("s", MaxNamespace)))
		wantErr(t, w.client.SignIn(strings.Repeat("n", MaxName)), nil)
		if _, err := h.Connect(&fakeConn{cut: make(chan struct{})}, profileOfSpace(strings.Repeat("s", MaxNamespace+1)), Visitor{}); !errors.Is(err, ErrBadName) {
			t.Errorf("a space that is too long: %v", err)
		}
	})
}

// Where there are no pairs, nobody is told when a client ends, and nothing is kept of who wrote to whom.
func TestNoPairs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		al, bo := connect(t, h, profileOfSpace("x")), connect(t, h, profileOfSpace("x"))
		wantErr(t, al.client.SignIn("al"), nil)
		wantErr(t, bo.client.SignIn("bo"), nil)
		wantErr(t, al.client.SendTo(Recipient{Name: "bo"}, broker.Message{Kind: broker.Note, Label: "a"}), nil)
		wantErr(t, bo.client.SendTo(Recipient{Name: "al"}, broker.Message{Kind: broker.Note, Label: "b"}), nil)
		wantErr(t, bo.client.SendTo(Recipient{Name: "al"}, broker.Message{Kind: broker.Leave}), ErrNotPaired)
		al.Abort()
		synctest.Wait()
		wantFrames(t, bo, "note a al ")
		wantErr(t, bo.client.SendTo(Recipient{Name: "al"}, broker.Message{Kind: broker.Note}), ErrPeerOffline)
	})
}
