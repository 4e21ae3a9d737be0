package generator

import (
	"net/netip"
	"testing"
	"time"

	"icebox/cmd/iceload/batch"
	"icebox/cmd/iceload/pace"
	"icebox/cmd/iceload/sockets"
	"icebox/cmd/iceload/turnclient"
)

// newLoopWorker returns a worker whose server is a socket that only receives, and whose peers send
// to themselves. discard empties that socket.
func newLoopWorker(tb testing.TB, edit func(*Options)) (w *worker, discard func()) {
	tb.Helper()
	sink, err := batch.Open(batch.Options{Local: netip.MustParseAddrPort("127.0.0.1:0"), Buffer: 16 << 20})
	if err != nil {
		tb.Fatal(err)
	}
	o := Options{
		Server: sink.Local(), Transport: sockets.UDP, Account: func(int) turnclient.Account { return turnclient.Account{} },
		Allocations: 50, Workers: 1, Window: 1, PeerAddress: netip.MustParseAddr("127.0.0.2"), Peers: 1,
		Rate: MaxRate, Size: 160, Burst: 1, Direction: Both,
	}
	if edit != nil {
		edit(&o)
	}
	if w, err = openWorker(o, 0); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _, _ = sink.Close(), w.close() })
	for client, s := range w.turnClients {
		s.Relayed = w.peers.Addr(0)
		w.peers.SetRelayedAddr(client, s.Relayed)
	}
	w.startPhase(time.Now())
	r := batch.NewReader(64, 2000, false)
	return w, func() {
		if err := r.Read(sink, func(*batch.Datagram) {}); err != nil {
			tb.Fatal(err)
		}
	}
}

func TestNothingIsAllocatedPerPacket(t *testing.T) {
	for name, edit := range map[string]func(*Options){
		"channels":    nil,
		"indications": func(o *Options) { o.Indications = true },
		"segments":    func(o *Options) { o.Burst, o.Segment, o.Coalesce = 8, true, true },
	} {
		t.Run(name, func(t *testing.T) {
			w, discard := newLoopWorker(t, edit)
			schedule := pace.New(time.Now(), w.o.Burst, w.o.Rate)
			allocs := testing.AllocsPerRun(20, func() {
				w.sendDueBursts(schedule, time.Now())
				if err := w.receiveAll(time.Now()); err != nil {
					t.Error(err)
				}
				discard()
			})
			if allocs != 0 || w.counts.sent == 0 {
				t.Errorf("%v allocations for %d packets", allocs, w.counts.sent)
			}
		})
	}
}

// BenchmarkSend measures the generator's time for sending one packet, including the kernel's delivery to a socket on
// which no thread waits. Each op is one packet.
func BenchmarkSend(b *testing.B) {
	for name, edit := range map[string]func(*Options){
		"160x1":  nil,
		"1000x8": func(o *Options) { o.Size, o.Burst = 1000, 8 },
		"gso":    func(o *Options) { o.Size, o.Burst, o.Segment = 1000, 8, true },
	} {
		b.Run(name, func(b *testing.B) {
			w, discard := newLoopWorker(b, func(o *Options) {
				o.Direction = Up
				if edit != nil {
					edit(o)
				}
			})
			b.ReportAllocs()
			for n := 0; n < b.N; {
				for range 8 {
					w.sendBurst(w.sendOrder[w.nextInOrder])
					w.nextInOrder = (w.nextInOrder + 1) % len(w.sendOrder)
					n += w.o.Burst
				}
				w.clients.Flush()
				b.StopTimer()
				discard()
				b.StartTimer()
			}
		})
	}
}
