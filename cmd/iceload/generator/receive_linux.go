package generator

import (
	"net/netip"
	"time"

	"icebox/cmd/iceload/tally"
	"icebox/turnserver/wire"
)

// handleServerMessage handles a message that a client received from the server.
func (w *worker) handleServerMessage(client int, message []byte, at int64) {
	if len(message) > 0 && message[0] >= wire.MinChannel>>8 && message[0] <= wire.MaxChannel>>8 {
		number, data, ok := wire.ChannelData(message)
		switch {
		case !ok:
			w.counts.Damaged++
		case number != channel:
			w.counts.Misdelivered++
		default:
			w.countAtClient(client, data, at)
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
	if peer, ok := m.XORAddress(from); !ok || peer != w.turnClients[client].Peer {
		w.counts.Misdelivered++
		return
	}
	w.countAtClient(client, data, at)
}

// countAtClient counts a payload that a client received.
func (w *worker) countAtClient(client int, payload []byte, at int64) {
	mark, ok := tally.ReadMark(payload)
	switch {
	case !ok || mark.Run != w.runID:
		w.counts.Strays++
	case mark.Flow != uint32(client*numDirs+down):
		w.counts.Misdelivered++
	default:
		w.countArrival(client, down, &mark, len(payload), at)
	}
}

// handlePeerPacket counts a packet that a peer received.
func (w *worker) handlePeerPacket(peer int, from netip.AddrPort, payload []byte, at int64) {
	mark, ok := tally.ReadMark(payload)
	if !ok || mark.Run != w.runID {
		w.counts.Strays++
		return
	}
	client := int(mark.Flow) / numDirs
	// A NAT on the path may have translated the address, but not the port.
	if mark.Flow%numDirs != up || client >= len(w.turnClients) || w.peers.PeerOf(client) != peer ||
		from.Port() != w.turnClients[client].Relayed.Port() {
		w.counts.Misdelivered++
		return
	}
	w.countArrival(client, up, &mark, len(payload), at)
}

// countArrival counts a packet that reached the right client or peer.
func (w *worker) countArrival(client, dir int, mark *tally.Mark, size int, at int64) {
	if size != w.o.Size {
		w.counts.Damaged++
		return
	}
	if w.flows[dir][client].CountArrival(mark.Seq) {
		w.counts.received++
		w.latency[dir].Record(time.Duration(at - mark.Sent))
	}
}
