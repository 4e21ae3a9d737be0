package signal

import (
	"net/netip"
	"testing"
	"testing/synctest"
)

// countTogether is an Options.ClientPrefix for IPv6 addresses.
func countTogether(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, 64).Masked() }

// The clients of one address that do not read are disconnected when too many bytes wait for all of them, although each one's
// own queue has room for more. Clients of other addresses, and clients that read, are not. When all have ended, all memory is
// released.
func TestWaitingBytesOfAnAddressAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 4 << 20
		h := newHub(t, Options{ClientPrefix: countTogether}, func(l *Limits) { l.WaitingPerAddr = most })
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
		honest, near := from("honest", "2001:db8:1::1"), from("near", "2001:db8::2") // near has the same /64 prefix, and reads
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
			if n := h.reserved.AddrTotal(h.AddrKey(netip.MustParseAddr("2001:db8::2"))); n > most {
				t.Errorf("%d bytes wait for one address, the limit is %d", n, most)
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
			t.Errorf("%d of %d clients that do not read were disconnected, want at least 5, but not all", cut, len(idle))
		}
		select {
		case <-honest.cut:
			t.Error("a client with another address was disconnected")
		case <-near.cut:
			t.Error("a client that reads was disconnected")
		default:
		}
		if got := len(near.got()); got != 18-refused || refused == 0 {
			t.Errorf("near received %d frames; %d of the 18 frames for it were refused", got, refused)
		}
		for _, w := range append(idle, honest, near) {
			w.client.End(Gone)
			w.Abort()
		}
		synctest.Wait()
		if n := h.reserved.Total(); n != 0 {
			t.Errorf("%d bytes are still reserved after all clients have ended", n)
		}
	})
}

// Queues of up to 16 KiB, which is more than most clients ever need, do not count.
func TestShortQueuesAreNotCounted(t *testing.T) {
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
			t.Errorf("%d bytes are counted for a queue of 16 KiB, want 0", n)
		}
		w.client.Send(frame)
		if n := h.reserved.Total(); n == 0 {
			t.Error("no bytes are counted for a queue of 20 KiB")
		}
		release()
		synctest.Wait()
		if n := h.reserved.Total(); n != 0 {
			t.Errorf("%d bytes are still counted after the queue was written", n)
		}
	})
}
