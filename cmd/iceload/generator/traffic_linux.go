package generator

import (
	"context"
	"math/rand/v2"
	"time"

	"icebox/cmd/iceload/pace"
	"icebox/cmd/iceload/quantile"
	"icebox/cmd/iceload/tally"
	"icebox/cmd/iceload/turnclient"
	"icebox/turnserver/wire"
)

const (
	// fetchInterval is how often what has arrived is fetched.
	fetchInterval = time.Millisecond
	// slotsAtOnce bounds what is sent before something is fetched.
	slotsAtOnce = 64
	// Traffic is over when all has arrived, or nothing has for quiet, or after patience.
	quiet    = time.Second
	patience = 5 * time.Second
	// renewEvery is how often each allocation and its channel are refreshed: a permission lives
	// for 300 s.
	renewEvery = 200 * time.Second
)

// begin prepares for a phase of traffic.
func (w *worker) begin(now time.Time) {
	w.run = rand.Uint32()
	for way := range ways {
		w.flows[way] = make([]tally.Flow, len(w.sessions))
		w.latency[way].Reset()
	}
	w.lateness.Reset()
	w.counts = counts{}
	w.slots, w.turn = w.order(), 0
	if w.headers == nil && w.o.Indications {
		w.makeHeaders()
	}
	if w.renewed.IsZero() {
		w.renewed = now
	}
}

// traffic sends for d from start on, and waits for what is under way then.
func (w *worker) traffic(ctx context.Context, start time.Time, d time.Duration) error {
	sleeper := pace.NewSleeper()
	defer sleeper.Release()
	sleeper.Until(start)
	schedule := pace.New(start, w.o.Burst, w.o.Rate)
	end, fetched, every := start.Add(d), start, w.fetchEvery()
	for ctx.Err() == nil {
		now := time.Now()
		more := w.sendDue(schedule, earliest(now, end))
		if !more && !now.Before(end) {
			break
		}
		if now.Sub(fetched) >= every {
			if err := w.fetch(now); err != nil {
				return err
			}
			fetched = now
		}
		if !more {
			w.counts.wakeups++
			sleeper.Until(earliest(latest(schedule.Next(), now.Add(w.o.Tick)), fetched.Add(every), end))
		}
	}
	w.counts.skipped = schedule.Skipped()
	w.elapsed = time.Since(start)
	return w.settle(sleeper)
}

// fetchEvery is how often to fetch what has arrived: over streams it gets its time then.
func (w *worker) fetchEvery() time.Duration {
	if w.o.Transport == "udp" {
		return fetchInterval
	}
	return min(fetchInterval, max(w.o.Tick, 50*time.Microsecond))
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earliest(a time.Time, others ...time.Time) time.Time {
	for _, b := range others {
		if b.Before(a) {
			a = b
		}
	}
	return a
}

// sendDue sends what is due, and tells whether there may be more.
func (w *worker) sendDue(schedule *pace.Schedule, now time.Time) (more bool) {
	n, late := schedule.Due(now, slotsAtOnce)
	if n == 0 {
		return false
	}
	w.lateness.Record(late)
	for range n {
		w.send(w.slots[w.turn])
		if w.turn++; w.turn == len(w.slots) {
			w.turn = 0
		}
	}
	w.link.Flush()
	w.peers.Flush()
	return n == slotsAtOnce
}

// send sends the burst of a slot.
func (w *worker) send(s slot) {
	mark := tally.Mark{Run: w.run, Flow: uint32(s.client*ways + s.way), Sent: time.Now().UnixNano()}
	flow := &w.flows[s.way][s.client]
	for range w.o.Burst {
		payload := w.payload(s)
		if payload == nil {
			w.counts.unsent++
			continue
		}
		mark.Seq = flow.Next()
		mark.Put(payload)
		w.counts.sent++
	}
}

// payload is the room for the payload of a slot's next packet, nil if its way is full.
func (w *worker) payload(s slot) []byte {
	if s.way == down {
		return w.peers.Message(s.client, w.o.Size)
	}
	if w.headers != nil {
		header := w.headers[s.client]
		b := w.link.Message(s.client, len(header)+wire.Pad4(w.o.Size))
		if b == nil {
			return nil
		}
		return b[copy(b, header):]
	}
	b := w.link.Message(s.client, wire.ChannelHeaderSize+w.o.Size)
	if b == nil {
		return nil
	}
	wire.PutChannelHeader(b, channel, w.o.Size)
	return b[wire.ChannelHeaderSize:]
}

// segment is the length of the messages that a burst consists of, if it leaves as one.
func (w *worker) segment() int {
	switch {
	case !w.o.Segment:
		return 0
	case !w.o.Indications:
		return wire.ChannelHeaderSize + w.o.Size
	case w.o.PeerAddress.Is4():
		return wire.DataHeader4 + wire.Pad4(w.o.Size)
	}
	return wire.DataHeader6 + wire.Pad4(w.o.Size)
}

// makeHeaders makes what stands before the payload in each client's Send
// indications. They have one transaction ID in common, which no server looks at.
func (w *worker) makeHeaders() {
	w.headers = make([][]byte, len(w.sessions))
	data := make([]byte, w.o.Size)
	for i, s := range w.sessions {
		b := wire.NewBuilder(nil, wire.Send, wire.Indication, [wire.TransactionIDSize]byte{1}).
			XORAddress(wire.AttrXORPeerAddress, s.Peer).
			Attribute(wire.AttrData, data).Bytes()
		w.headers[i] = b[:wire.DataHeaderSize(s.Peer.Addr())]
	}
}

// fetch digests what has arrived and does what is due beside sending.
func (w *worker) fetch(now time.Time) error {
	if err := w.peers.Receive(w.fromRelay); err != nil {
		return err
	}
	if err := w.link.Receive(w.handle); err != nil {
		return err
	}
	w.renew(now)
	w.runner.Tick(now)
	w.progress.publish(&w.counts)
	return nil
}

// renew refreshes the allocations one after the other, all of them within renewEvery.
func (w *worker) renew(now time.Time) {
	interval := renewEvery / time.Duration(len(w.sessions))
	for now.Sub(w.renewed) >= interval {
		w.renewed = w.renewed.Add(interval)
		client := w.renewals % len(w.sessions)
		w.renewals++
		if w.runner.Busy(client) {
			continue
		}
		script := []turnclient.Step{turnclient.Refresh, turnclient.Permission, turnclient.Channel}
		if w.o.Indications {
			script = script[:2]
		}
		w.runner.Start(client, now, script, func(err error) {
			if err != nil {
				w.failures.add(err)
			}
		})
	}
}

// settle waits for packets that are still under way.
func (w *worker) settle(sleeper *pace.Sleeper) error {
	end := time.Now()
	last, seen := end, w.counts.received
	for {
		now := time.Now()
		if err := w.fetch(now); err != nil {
			return err
		}
		if w.counts.received != seen {
			last, seen = now, w.counts.received
		}
		if w.counts.received >= w.counts.sent || now.Sub(last) >= quiet || now.Sub(end) >= patience {
			return nil
		}
		sleeper.Until(now.Add(fetchInterval))
	}
}

// outcome is what a phase of traffic came to.
func (w *worker) outcome() *Traffic {
	t := &Traffic{Elapsed: w.elapsed, Skipped: w.counts.skipped, Unsent: w.counts.unsent, Wakeups: w.counts.wakeups, Anomalies: w.counts.Anomalies}
	for way := range ways {
		t.Latency[way] = new(quantile.Histogram)
		t.Latency[way].Merge(&w.latency[way])
		for i := range w.flows[way] {
			t.Flows[way].Add(&w.flows[way][i])
		}
	}
	t.Lateness.Merge(&w.lateness)
	return t
}
