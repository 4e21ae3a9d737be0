package signal

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"icebox/signal/broker"
)

// namespaced returns the profile of a protocol with its own namespace and without pairs.
func namespaced(namespace string) Profile {
	return Profile{
		Protocol: "foreign", Namespace: namespace, ByID: true, Pairs: -1,
		Encode: func(b []byte, m broker.Message) []byte {
			return fmt.Appendf(b, "%v %s %s %s", m.Kind, m.Label, m.FromName, m.Payload)
		},
		Presence: func(name string, held bool) []byte { return fmt.Appendf(nil, "presence %q %v", name, held) },
	}
}

func TestNamespacesAreSeparate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		bob := signIn(t, h, "bob")
		bobs := map[string]*fakeConn{}
		for _, namespace := range []string{"one", "two", "one\x00app"} {
			w := connect(t, h, namespaced(namespace))
			wantErr(t, w.client.SignIn("bob"), nil)
			bobs[namespace] = w
		}
		other := connect(t, h, namespaced("one"))
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
		if bobs["two"].client.TakeOver(other.client) {
			t.Error("a client took over a name of another namespace")
		}
		synctest.Wait()
		wantFrames(t, bob)
		wantFrames(t, bobs["one"], "note hi al ")
		wantFrames(t, bobs["two"])
		wantFrames(t, bobs["one\x00app"])
		wantFrames(t, other, `presence "bob" true`)

		bobs["two"].Abort()
		bob.Abort()
		synctest.Wait()
		wantFrames(t, other, `presence "bob" true`)
		bobs["one"].Abort()
		synctest.Wait()
		wantFrames(t, other, `presence "bob" true`, `presence "bob" false`)
		wantErr(t, other.client.SignIn("bob"), nil)
	})
}

// The longest name can be claimed in the longest namespace. A longer namespace is refused.
func TestNamespaceLength(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		w := connect(t, h, namespaced(strings.Repeat("s", MaxNamespace)))
		wantErr(t, w.client.SignIn(strings.Repeat("n", MaxName)), nil)
		tooLong := namespaced(strings.Repeat("s", MaxNamespace+1))
		if _, err := h.Connect(&fakeConn{cut: make(chan struct{})}, tooLong, Visitor{}); !errors.Is(err, ErrBadName) {
			t.Errorf("a namespace that is too long: %v", err)
		}
	})
}

// In a protocol without pairs, no client is notified when another one ends, even if the two have exchanged notes.
func TestProtocolWithoutPairs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		al, bo := connect(t, h, namespaced("x")), connect(t, h, namespaced("x"))
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
