package signal

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"icebox/signal/broker"
)

// foreign is the profile of a protocol with names of its own and without pairs.
func foreign(space string) Profile {
	return Profile{
		Protocol: "foreign", Space: space, ByID: true, Pairs: -1,
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
		spaces := map[string]*wire{}
		for _, space := range []string{"one", "two", "one\x00app"} {
			w := connect(t, h, foreign(space))
			want(t, w.client.SignIn("bob"), nil)
			spaces[space] = w
		}
		other := connect(t, h, foreign("one"))
		want(t, other.client.SignIn("bob"), ErrNameTaken)
		want(t, other.client.SignIn("al"), nil)
		want(t, other.client.Watch([]string{"bob"}), nil)

		note := broker.Message{Kind: broker.Note, Label: "hi"}
		want(t, other.client.SendTo(Recipient{Name: "bob"}, note), nil)
		hostile := signIn(t, h, "eve")
		for _, name := range []string{"one\x00bob", "two\x00bob", "one\x00app\x00bob", "\x00bob", "app\x00bob"} {
			want(t, hostile.client.Offer(name, nil), ErrPeerOffline)
			want(t, hostile.client.Tell(broker.Candidate, name, nil), ErrNotPaired)
			want(t, hostile.client.Watch([]string{name}), ErrBadName)
			want(t, hostile.client.SignIn(name), ErrBadName)
			want(t, other.client.SendTo(Recipient{Name: name}, note), ErrPeerOffline)
			want(t, other.client.SignIn(name), ErrBadName)
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
		want(t, other.client.SignIn("bob"), nil)
	})
}

// The longest name has room in the longest space, and a longer one makes no client.
func TestSpaceLength(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		w := connect(t, h, foreign(strings.Repeat("s", MaxSpace)))
		want(t, w.client.SignIn(strings.Repeat("n", MaxName)), nil)
		if _, err := h.Connect(&wire{cut: make(chan struct{})}, foreign(strings.Repeat("s", MaxSpace+1)), Visitor{}); !errors.Is(err, ErrBadName) {
			t.Errorf("a space that is too long: %v", err)
		}
	})
}

// Where there are no pairs, nobody is told when a client ends, and nothing is kept of who wrote to whom.
func TestNoPairs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		al, bo := connect(t, h, foreign("x")), connect(t, h, foreign("x"))
		want(t, al.client.SignIn("al"), nil)
		want(t, bo.client.SignIn("bo"), nil)
		want(t, al.client.SendTo(Recipient{Name: "bo"}, broker.Message{Kind: broker.Note, Label: "a"}), nil)
		want(t, bo.client.SendTo(Recipient{Name: "al"}, broker.Message{Kind: broker.Note, Label: "b"}), nil)
		want(t, bo.client.SendTo(Recipient{Name: "al"}, broker.Message{Kind: broker.Leave}), ErrNotPaired)
		al.Abort()
		synctest.Wait()
		wantFrames(t, bo, "note a al ")
		want(t, bo.client.SendTo(Recipient{Name: "al"}, broker.Message{Kind: broker.Note}), ErrPeerOffline)
	})
}
