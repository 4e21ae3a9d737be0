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
	// receiveInterval is how often the worker reads received packets.
	receiveInterval = time.Millisecond
	// maxBurstsPerSend is how many bursts may be sent before the worker reads again.
	maxBurstsPerSend = 64
	// A phase ends when all packets have arrived, when none has arrived for quietPeriod, or
	// stragglerTimeout after the last was sent.
	quietPeriod      = time.Second
	stragglerTimeout = 5 * time.Second
	// refreshPeriod is how often each allocation, its permission and its channel are refreshed. A
	// permission lives for 300 s.
	refreshPeriod = 200 * time.Second
)

// startPhase resets the counts for a phase of traffic.
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

// runTraffic sends packets for d from start on, and then waits for those that have not arrived yet.
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

// receiveEvery returns how often to read received packets. Streams are read more often, because the
// arrival time of their packets is when they are read.
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

// sendDueBursts sends the bursts that are due and reports whether more may be due.
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

// sendBurst sends one burst of a flow.
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

// queuePayload queues a packet of a flow and returns the slice for its payload, or nil if the
// client's stream is full.
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

// segmentSize returns the length of the messages of a burst if it is sent as one message, and 0 if
// not.
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

// makeHeaders builds the part of each client's Send indications that precedes the payload. All of
// them have the same transaction ID, because servers ignore that of an indication.
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

// receiveAll handles all received messages and packets, and does the periodic work: refreshes and
// retransmissions.
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

// refreshAllocations refreshes the allocations one at a time, evenly spread over refreshPeriod.
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

// awaitStragglers waits for packets that have been sent but have not arrived.
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

// phaseResult returns the worker's result of the phase.
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
