package generator

import (
	"net/netip"
	"time"

	"icebox/cmd/iceload/tally"
	"icebox/turnserver/wire"
)

// fromServer digests a message that came to a client.
func (w *worker) fromServer(client int, message []byte, at int64) {
	if len(message) > 0 && message[0] >= wire.MinChannel>>8 && message[0] <= wire.MaxChannel>>8 {
		number, data, ok := wire.ChannelData(message)
		switch {
		case !ok:
			w.counts.Damaged++
		case number != channel:
			w.counts.Misdelivered++
		default:
			w.toClient(client, data, at)
		}
		return
	}
	if w.runner.Handle(client, message, time.Unix(0, at)) {
		return
	}
	var m wire.Message
	if wire.Parse(message, &m) != nil || m.Method != wire.Data || m.Class != wire.Indication {
		w.counts.Strays++
		return
	}
	data, _ := m.Get(wire.AttrData)
	from, _ := m.Get(wire.AttrXORPeerAddress)
	if peer, ok := m.XORAddress(from); !ok || peer != w.sessions[client].Peer {
		w.counts.Misdelivered++
		return
	}
	w.toClient(client, data, at)
}

// toClient counts a payload that came to a client.
func (w *worker) toClient(client int, payload []byte, at int64) {
	mark, ok := tally.Read(payload)
	switch {
	case !ok || mark.Run != w.run:
		w.counts.Strays++
	case mark.Flow != uint32(client*ways+down):
		w.counts.Misdelivered++
	default:
		w.accept(client, down, &mark, len(payload), at)
	}
}

// fromRelay counts a packet that came to a peer.
func (w *worker) fromRelay(peer int, from netip.AddrPort, payload []byte, at int64) {
	mark, ok := tally.Read(payload)
	if !ok || mark.Run != w.run {
		w.counts.Strays++
		return
	}
	client := int(mark.Flow) / ways
	// The address may have been translated on the way, the port not.
	if mark.Flow%ways != up || client >= len(w.sessions) || w.peers.Of(client) != peer ||
		from.Port() != w.sessions[client].Relayed.Port() {
		w.counts.Misdelivered++
		return
	}
	w.accept(client, up, &mark, len(payload), at)
}

// accept counts a packet that came to where it should.
func (w *worker) accept(client, way int, mark *tally.Mark, size int, at int64) {
	if size != w.o.Size {
		w.counts.Damaged++
		return
	}
	if w.flows[way][client].Accept(mark.Seq) {
		w.counts.received++
		w.latency[way].Record(time.Duration(at - mark.Sent))
	}
}
