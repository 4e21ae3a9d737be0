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

// DropReason is why a message or packet went nowhere. It is a label of icebox_turn_dropped_total.
type DropReason uint8

// The reasons.
const (
	DropMalformed        DropReason = iota // neither well-formed STUN nor ChannelData nor DTLS
	DropUnexpected                         // well-formed, but not a message for a server
	DropUnknownAttribute                   // an indication with an attribute we must understand and don't
	DropReplyRate                          // a reply would exceed the rate for strangers
	DropNoAllocation                       // data of a client without an allocation
	DropNoChannel                          // data on a channel that is not bound
	DropNoPermission                       // data from or to a peer without permission
	DropPeerDenied                         // the peer policy forbids the peer
	DropPeerWrite                          // the kernel did not take a packet for a peer
	DropClientWrite                        // the kernel did not take a packet for a client
	DropSlowClient                         // the client's stream is full
	DropOversized                          // longer than is relayed
	DropConnections                        // a connection more than the limits allow
	DropHandshake                          // a TLS or DTLS handshake that failed
	DropBandwidth                          // more than the bandwidth limits allow
	dropReasons
)

var dropNames = [dropReasons]string{"malformed", "unexpected", "unknown_attribute", "reply_rate", "no_allocation", "no_channel",
	"no_permission", "peer_denied", "peer_write", "client_write", "slow_client", "oversized", "connections", "handshake", "bandwidth"}

// String returns the label.
func (d DropReason) String() string { return dropNames[d] }

// metrics are the server's counters. What is counted for each packet is a field of
// its session, added up when it is asked for.
type metrics struct {
	server   *Server
	requests map[wire.Method]prometheus.Counter
	errors   map[wire.Code]prometheus.Counter
	drops    [dropReasons]prometheus.Counter
	started  map[Transport]prometheus.Counter
	ended    map[EndReason]prometheus.Counter
	denials  *prometheus.CounterVec

	past         [4]pastTraffic // of sessions that have ended, by transport
	lastDenialAt atomic.Int64

	collecting sync.Mutex
	collected  [4]sums // what was said last, by transport
}

type pastTraffic struct{ toPeer, fromPeer counters }

func (m *metrics) init(s *Server, reg prometheus.Registerer) error {
	m.server = s
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "icebox", Subsystem: "turn", Name: name, Help: help}, []string{label})
	}
	requests := vec("requests_total", "STUN and TURN requests, by method.", "method")
	errs := vec("error_responses_total", "Error responses sent, by code; a 401 or 438 is how every client begins.", "code")
	drops := vec("dropped_total", "Messages and packets that went nowhere, by reason.", "reason")
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

func (m *metrics) drop(d DropReason) { m.drops[d].Inc() }

func (m *metrics) dropMany(d DropReason, n int) { m.drops[d].Add(float64(n)) }

// denied counts a refused peer and logs one refusal a second at most.
func (m *metrics) denied(a netip.AddrPort, rule string) {
	m.denials.WithLabelValues(rule).Inc()
	now := m.server.now()
	last := m.lastDenialAt.Load()
	if (last == 0 || now-last >= int64(time.Second)) && m.lastDenialAt.CompareAndSwap(last, now) {
		m.server.log.Info("peer denied", "peer", a, "rule", rule)
	}
}

// finished moves a session's traffic to the past.
func (m *metrics) finished(i *SessionInfo, reason EndReason) {
	m.ended[reason].Inc()
	p := &m.past[i.Transport]
	p.toPeer.packets.Add(i.ToPeerPackets)
	p.toPeer.bytes.Add(i.ToPeerBytes)
	p.fromPeer.packets.Add(i.FromPeerPackets)
	p.fromPeer.bytes.Add(i.FromPeerBytes)
}

// traffic collects what was relayed, running sessions included.
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
	// The past first: a session that ends meanwhile is missed until the next time, never counted twice.
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
			x[i] = max(x[i], now[tr][i]) // a counter that shrinks would look like a restart
		}
		ch <- prometheus.MustNewConstMetric(liveDesc, prometheus.GaugeValue, float64(live[tr]), name)
		for i, direction := range []string{"to_peer", "from_peer"} {
			ch <- prometheus.MustNewConstMetric(packetsDesc, prometheus.CounterValue, float64(x[2*i]), name, direction)
			ch <- prometheus.MustNewConstMetric(bytesDesc, prometheus.CounterValue, float64(x[2*i+1]), name, direction)
		}
	}
}
