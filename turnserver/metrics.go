package turnserver

import (
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"icebox/turnserver/wire"
)

// DropReason is why a message or packet was dropped. It is a label of icebox_turn_dropped_total.
type DropReason uint8

// The reasons.
const (
	DropMalformed        DropReason = iota // not well-formed STUN, ChannelData or DTLS
	DropUnexpected                         // well-formed, but not a message that a server handles
	DropUnknownAttribute                   // an indication with an unknown comprehension-required attribute
	DropReplyRate                          // a reply above the rate for addresses that may be forged, or after too many failed authentications
	DropNoAllocation                       // data of a client without an allocation
	DropNoChannel                          // data on a channel that is not bound
	DropNoPermission                       // data from or to a peer without permission
	DropPeerDenied                         // the peer policy forbids the peer
	DropPeerWrite                          // the kernel did not accept a packet for a peer
	DropClientWrite                        // the kernel did not accept a packet for a client
	DropSlowClient                         // the queue of the client's stream is full
	DropOversized                          // longer than is relayed
	DropConnections                        // a connection above a limit
	DropHandshake                          // a TLS or DTLS handshake that failed
	DropBandwidth                          // above a bandwidth limit
	dropReasons
)

var dropNames = [dropReasons]string{"malformed", "unexpected", "unknown_attribute", "reply_rate", "no_allocation", "no_channel",
	"no_permission", "peer_denied", "peer_write", "client_write", "slow_client", "oversized", "connections", "handshake", "bandwidth"}

// String returns the label.
func (d DropReason) String() string { return dropNames[d] }

// metrics are the server's counters. Each session counts its own packets; Collect adds them up.
type metrics struct {
	server   *Server
	requests map[wire.Method]prometheus.Counter
	errors   map[wire.Code]prometheus.Counter
	drops    [dropReasons]prometheus.Counter
	started  map[Transport]prometheus.Counter
	ended    map[EndReason]prometheus.Counter
	denials  *prometheus.CounterVec

	past         [4]pastTraffic // of ended sessions, by transport
	lastDenialAt atomic.Int64

	collecting sync.Mutex
	collected  [4]sums // the last values returned, by transport
}

type pastTraffic struct{ toPeer, fromPeer counters }

func (m *metrics) init(s *Server, reg prometheus.Registerer) error {
	m.server = s
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "icebox", Subsystem: "turn", Name: name, Help: help}, []string{label})
	}
	requests := vec("requests_total", "STUN and TURN requests, by method.", "method")
	errs := vec("error_responses_total", "Error responses sent, by code; every client begins with a 401 or 438.", "code")
	drops := vec("dropped_total", "Messages and packets that were dropped, by reason.", "reason")
	started := vec("sessions_started_total", "Allocations made, by client transport.", "transport")
	ended := vec("sessions_ended_total", "Allocations ended, by reason.", "reason")
	m.denials = vec("peers_denied_total", "Peers that the peer policy refused, by rule.", "rule")

	m.requests, m.errors = make(map[wire.Method]prometheus.Counter), make(map[wire.Code]prometheus.Counter)
	m.started, m.ended = make(map[Transport]prometheus.Counter), make(map[EndReason]prometheus.Counter)
	for _, method := range []wire.Method{wire.Binding, wire.Allocate, wire.Refresh, wire.CreatePermission, wire.ChannelBind} {
		m.requests[method] = requests.WithLabelValues(method.String())
	}
	for _, code := range wire.Codes() {
		m.errors[code] = errs.WithLabelValues(strconv.Itoa(int(code)))
	}
	for d := range dropReasons {
		m.drops[d] = drops.WithLabelValues(d.String())
	}
	for _, t := range Transports() {
		m.started[t] = started.WithLabelValues(t.String())
	}
	for _, r := range EndReasons() {
		m.ended[r] = ended.WithLabelValues(string(r))
	}
	if reg == nil {
		return nil
	}
	for _, c := range []prometheus.Collector{requests, errs, drops, started, ended, m.denials, (*traffic)(m)} {
		if err := reg.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func (m *metrics) countDrop(d DropReason) { m.drops[d].Inc() }

func (m *metrics) countDrops(d DropReason, n int) { m.drops[d].Add(float64(n)) }

// countDenied counts a refused peer and logs at most one refusal a second.
func (m *metrics) countDenied(a netip.AddrPort, rule string) {
	m.denials.WithLabelValues(rule).Inc()
	now := m.server.now()
	last := m.lastDenialAt.Load()
	if (last == 0 || now-last >= int64(time.Second)) && m.lastDenialAt.CompareAndSwap(last, now) {
		m.server.log.Info("peer denied", "peer", a, "rule", rule)
	}
}

// recordEnd counts the end of a session and adds its traffic to past.
func (m *metrics) recordEnd(i *SessionInfo, reason EndReason) {
	m.ended[reason].Inc()
	p := &m.past[i.Transport]
	p.toPeer.packets.Add(i.ToPeerPackets)
	p.toPeer.bytes.Add(i.ToPeerBytes)
	p.fromPeer.packets.Add(i.FromPeerPackets)
	p.fromPeer.bytes.Add(i.FromPeerBytes)
}

// traffic is the prometheus.Collector of relayed traffic, including that of live sessions.
type traffic metrics

var (
	liveDesc    = prometheus.NewDesc("icebox_turn_sessions", "Live allocations, by client transport.", []string{"transport"}, nil)
	packetsDesc = prometheus.NewDesc("icebox_turn_relayed_packets_total", "Packets relayed.", []string{"transport", "direction"}, nil)
	bytesDesc   = prometheus.NewDesc("icebox_turn_relayed_bytes_total", "Payload bytes relayed.", []string{"transport", "direction"}, nil)
)

// Describe implements prometheus.Collector.
func (t *traffic) Describe(ch chan<- *prometheus.Desc) {
	ch <- liveDesc
	ch <- packetsDesc
	ch <- bytesDesc
}

// sums are packets and bytes to peers, and packets and bytes from peers.
type sums [4]uint64

func (s *sums) add(toPackets, toBytes, fromPackets, fromBytes uint64) {
	for i, n := range [...]uint64{toPackets, toBytes, fromPackets, fromBytes} {
		s[i] += n
	}
}

// Collect implements prometheus.Collector.
func (t *traffic) Collect(ch chan<- prometheus.Metric) {
	t.collecting.Lock()
	defer t.collecting.Unlock()
	var live [4]int
	var now [4]sums
	// past is read first. A session that ends in between is missing until the next collection, but never counted twice.
	for i := range t.past {
		p := &t.past[i]
		now[i].add(p.toPeer.packets.Load(), p.toPeer.bytes.Load(), p.fromPeer.packets.Load(), p.fromPeer.bytes.Load())
	}
	for _, i := range t.server.Sessions() {
		live[i.Transport]++
		now[i.Transport].add(i.ToPeerPackets, i.ToPeerBytes, i.FromPeerPackets, i.FromPeerBytes)
	}
	for _, tr := range Transports() {
		x, name := &t.collected[tr], tr.String()
		for i := range x {
			x[i] = max(x[i], now[tr][i]) // because Prometheus treats a decrease as a restart
		}
		ch <- prometheus.MustNewConstMetric(liveDesc, prometheus.GaugeValue, float64(live[tr]), name)
		for i, direction := range []string{"to_peer", "from_peer"} {
			ch <- prometheus.MustNewConstMetric(packetsDesc, prometheus.CounterValue, float64(x[2*i]), name, direction)
			ch <- prometheus.MustNewConstMetric(bytesDesc, prometheus.CounterValue, float64(x[2*i+1]), name, direction)
		}
	}
}
