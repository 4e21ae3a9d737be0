package signal

import (
	"net/netip"
	"testing"
	"testing/synctest"
)

// TestWhatWaitsForAnAddressIsLimited: clients of one address that do not read are cut off when too much waits for all of
// them, while each has room for more in its own queue; others are not, and all is given back.
func TestWhatWaitsForAnAddressIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 4 << 20
		h := newHub(t, Options{}, func(l *Limits) { l.WaitingPerAddr = most })
		from := func(name, addr string) *fakeConn {
			w := connectFrom(t, h, testProfile, Visitor{Addr: netip.MustParseAddr(addr)})
			wantErr(t, w.client.SignIn(name), nil)
			return w
		}
		var idle []*fakeConn
		for i := range 10 {
			w := from(string(rune('a'+i)), "2001:db8::1")
			defer w.holdWrites()()
			idle = append(idle, w)
		}
		honest, near := from("honest", "2001:db8:1::1"), from("near", "2001:db8::2") // near is of the same /64, and reads
		defer honest.holdWrites()()
		frame := make([]byte, 100<<10)
		refused := 0
		for range 9 {
			for _, w := range idle {
				w.client.Send(frame)
			}
			honest.client.Send(frame)
			if err := honest.client.Offer("near", frame); err != nil {
				wantErr(t, err, ErrPeerBusy)
				refused++
			}
			wantErr(t, honest.client.Offer("near", []byte("short")), nil)
			synctest.Wait()
			if n := h.reserved.AddrTotal(AddrKey(netip.MustParseAddr("2001:db8::2"))); n > most {
				t.Errorf("%d bytes wait for one address, which may have %d", n, most)
			}
		}
		cut := 0
		for _, w := range idle {
			w.client.mu.Lock()
			if w.client.reason == SlowReader {
				cut++
			}
			w.client.mu.Unlock()
		}
		if cut < 5 || cut == len(idle) {
			t.Errorf("%d of %d were cut off", cut, len(idle))
		}
		select {
		case <-honest.cut:
			t.Error("who has another address was cut off")
		case <-near.cut:
			t.Error("who reads was cut off")
		default:
		}
		if got := len(near.got()); got != 18-refused || refused == 0 {
			t.Errorf("who reads has %d frames, and %d of 18 were refused", got, refused)
		}
		for _, w := range append(idle, honest, near) {
			w.client.End(Gone)
			w.Abort()
		}
		synctest.Wait()
		if n := h.reserved.Total(); n != 0 {
			t.Errorf("%d bytes wait for nobody", n)
		}
	})
}

// TestLittleWaitsUncounted: what most clients have waiting takes no part in the budget.
func TestLittleWaitsUncounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		w := signIn(t, h, "al")
		release := w.holdWrites()
		frame := make([]byte, 4<<10)
		for range 4 {
			w.client.Send(frame)
		}
		synctest.Wait()
		if n := h.reserved.Total(); n != 0 {
			t.Errorf("%d bytes are counted", n)
		}
		w.client.Send(frame)
		if n := h.reserved.Total(); n == 0 {
			t.Error("20 KiB wait and are not counted")
		}
		release()
		synctest.Wait()
		if n := h.reserved.Total(); n != 0 {
			t.Errorf("%d bytes are counted when all is written", n)
		}
	})
}
