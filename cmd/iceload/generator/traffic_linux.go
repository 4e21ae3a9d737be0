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
	receiveInterval = time.Millisecond
	// slotsAtOnce bounds what is sent before something is fetched.
	maxBurstsPerSend = 64
	// Traffic is over when all has arrived, or nothing has for quiet, or after patience.
	quietPeriod      = time.Second
	stragglerTimeout = 5 * time.Second
	// renewEvery is how often each allocation and its channel are refreshed: a permission lives
	// for 300 s.
	refreshPeriod = 200 * time.Second
)

// begin prepares for a phase of traffic.
func (w *worker) startPhase(now time.Time) {
	w.runID = rand.Uint32()
	for dir := range numDirs {
		w.flows[dir] = make([]tally.Flow, len(w.turnClients))
		w.latency[dir].Reset()
	}
	w.lateness.Reset()
	w.counts = counts{}
	w.sendOrder, w.nextInOrder = w.newSendOrder(), 0
	if w.headers == nil && w.o.Indications {
		w.makeHeaders()
	}
	if w.nextRefresh.IsZero() {
		w.nextRefresh = now
	}
}

// traffic sends for d from start on, and waits for what is under way then.
func (w *worker) runTraffic(ctx context.Context, start time.Time, d time.Duration) error {
	sleeper := pace.NewSleeper()
	defer sleeper.Release()
	sleeper.SleepUntil(start)
	schedule := pace.New(start, w.o.Burst, w.o.Rate)
	end, fetched, every := start.Add(d), start, w.receiveEvery()
	for ctx.Err() == nil {
		now := time.Now()
		more := w.sendDueBursts(schedule, earliest(now, end))
		if !more && !now.Before(end) {
			break
		}
		if now.Sub(fetched) >= every {
			if err := w.receiveAll(now); err != nil {
				return err
			}
			fetched = now
		}
		if !more {
			w.counts.wakeups++
			sleeper.SleepUntil(earliest(latest(schedule.NextDue(), now.Add(w.o.Tick)), fetched.Add(every), end))
		}
	}
	w.counts.skipped = schedule.SkippedPackets()
	w.elapsed = time.Since(start)
	return w.awaitStragglers(sleeper)
}

// fetchEvery is how often to fetch what has arrived: over streams it gets its time then.
func (w *worker) receiveEvery() time.Duration {
	if w.o.Transport == "udp" {
		return receiveInterval
	}
	return min(receiveInterval, max(w.o.Tick, 50*time.Microsecond))
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
func (w *worker) sendDueBursts(schedule *pace.Schedule, now time.Time) (more bool) {
	n, late := schedule.TakeDueSlots(now, maxBurstsPerSend)
	if n == 0 {
		return false
	}
	w.lateness.Record(late)
	for range n {
		w.sendBurst(w.sendOrder[w.nextInOrder])
		if w.nextInOrder++; w.nextInOrder == len(w.sendOrder) {
			w.nextInOrder = 0
		}
	}
	w.clients.Flush()
	w.peers.Flush()
	return n == maxBurstsPerSend
}

// send sends the burst of a slot.
func (w *worker) sendBurst(k flowKey) {
	mark := tally.Mark{Run: w.runID, Flow: uint32(k.client*numDirs + k.dir), Sent: time.Now().UnixNano()}
	flow := &w.flows[k.dir][k.client]
	for range w.o.Burst {
		payload := w.queuePayload(k)
		if payload == nil {
			w.counts.unsent++
			continue
		}
		mark.Seq = flow.NextSeq()
		mark.Put(payload)
		w.counts.sent++
	}
}

// payload is the room for the payload of a slot's next packet, nil if its way is full.
func (w *worker) queuePayload(k flowKey) []byte {
	if k.dir == down {
		return w.peers.QueuePacket(k.client, w.o.Size)
	}
	if w.headers != nil {
		header := w.headers[k.client]
		b := w.clients.QueueMessage(k.client, len(header)+wire.Pad4(w.o.Size))
		if b == nil {
			return nil
		}
		return b[copy(b, header):]
	}
	b := w.clients.QueueMessage(k.client, wire.ChannelHeaderSize+w.o.Size)
	if b == nil {
		return nil
	}
	wire.PutChannelHeader(b, channel, w.o.Size)
	return b[wire.ChannelHeaderSize:]
}

// segment is the length of the messages that a burst consists of, if it leaves as one.
func (w *worker) segmentSize() int {
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
	w.headers = make([][]byte, len(w.turnClients))
	data := make([]byte, w.o.Size)
	for i, s := range w.turnClients {
		b := wire.NewBuilder(nil, wire.Send, wire.Indication, [wire.TransactionIDSize]byte{1}).
			XORAddress(wire.AttrXORPeerAddress, s.Peer).
			Attribute(wire.AttrData, data).Bytes()
		w.headers[i] = b[:wire.DataHeaderSize(s.Peer.Addr())]
	}
}

// fetch digests what has arrived and does what is due beside sending.
func (w *worker) receiveAll(now time.Time) error {
	if err := w.peers.Receive(w.handlePeerPacket); err != nil {
		return err
	}
	if err := w.clients.Receive(w.messageHandler); err != nil {
		return err
	}
	w.refreshAllocations(now)
	w.runner.Tick(now)
	w.progress.publish(&w.counts)
	return nil
}

// renew refreshes the allocations one after the other, all of them within renewEvery.
func (w *worker) refreshAllocations(now time.Time) {
	interval := refreshPeriod / time.Duration(len(w.turnClients))
	for now.Sub(w.nextRefresh) >= interval {
		w.nextRefresh = w.nextRefresh.Add(interval)
		client := w.refreshes % len(w.turnClients)
		w.refreshes++
		if w.runner.Busy(client) {
			continue
		}
		script := []turnclient.Step{turnclient.Refresh, turnclient.CreatePermission, turnclient.BindChannel}
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
func (w *worker) awaitStragglers(sleeper *pace.Sleeper) error {
	end := time.Now()
	last, seen := end, w.counts.received
	for {
		now := time.Now()
		if err := w.receiveAll(now); err != nil {
			return err
		}
		if w.counts.received != seen {
			last, seen = now, w.counts.received
		}
		if w.counts.received >= w.counts.sent || now.Sub(last) >= quietPeriod || now.Sub(end) >= stragglerTimeout {
			return nil
		}
		sleeper.SleepUntil(now.Add(receiveInterval))
	}
}

// outcome is what a phase of traffic came to.
func (w *worker) phaseResult() *TrafficResult {
	t := &TrafficResult{Elapsed: w.elapsed, Skipped: w.counts.skipped, Unsent: w.counts.unsent, Wakeups: w.counts.wakeups, Anomalies: w.counts.Anomalies}
	for dir := range numDirs {
		t.Latency[dir] = new(quantile.Histogram)
		t.Latency[dir].Merge(&w.latency[dir])
		for i := range w.flows[dir] {
			t.Flows[dir].Add(&w.flows[dir][i])
		}
	}
	t.Lateness.Merge(&w.lateness)
	return t
}
