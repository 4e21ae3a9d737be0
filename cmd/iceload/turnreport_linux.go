package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"icebox/cmd/iceload/generator"
	"icebox/cmd/iceload/quantile"
	"icebox/cmd/iceload/turnclient"
)

// turnReport is the output of `iceload turn`.
type turnReport struct {
	Load      loadReport       `json:"load"`
	SetUp     setUpReport      `json:"set_up"`
	Relayed   relayedReport    `json:"relayed"`
	Server    *serverReport    `json:"server,omitempty"`
	Generator *generatorReport `json:"generator"`
	Warnings  []string         `json:"warnings,omitempty"`

	memory [3]uint64 // resident bytes: before, with allocations, after traffic
}

// loadReport repeats the options of the run.
type loadReport struct {
	Server      string  `json:"server"`
	Transport   string  `json:"transport"`
	Allocations int     `json:"allocations"`
	Peers       int     `json:"peers"`
	Rate        int     `json:"rate"`
	Size        int     `json:"size"`
	Burst       int     `json:"burst"`
	Direction   string  `json:"direction"`
	Indications bool    `json:"indications"`
	GSO         bool    `json:"gso"`
	GRO         bool    `json:"gro"`
	TickUS      float64 `json:"tick_us"`
	Seconds     float64 `json:"seconds"`
}

type setUpReport struct {
	Allocations int                     `json:"allocations"`
	Seconds     float64                 `json:"seconds"`
	PerSecond   float64                 `json:"per_second"`
	Repeated    uint64                  `json:"repeated_requests"`
	Requests    map[string]timingReport `json:"requests"`
}

// timingReport has quantiles in microseconds.
type timingReport struct {
	P50 float64 `json:"p50_us"`
	P90 float64 `json:"p90_us"`
	P99 float64 `json:"p99_us"`
	Max float64 `json:"max_us"`
}

type relayedReport struct {
	Sent        uint64        `json:"sent"`
	Received    uint64        `json:"received"`
	Lost        uint64        `json:"lost"`
	LossPercent float64       `json:"loss_percent"`
	PerSecond   float64       `json:"received_per_second"`
	Up          *flowReport   `json:"up,omitempty"`
	Down        *flowReport   `json:"down,omitempty"`
	Anomalies   anomalyReport `json:"anomalies"`
}

type flowReport struct {
	Sent       uint64       `json:"sent"`
	Received   uint64       `json:"received"`
	Lost       uint64       `json:"lost"`
	Duplicates uint64       `json:"duplicates"`
	Reordered  uint64       `json:"reordered"`
	Latency    timingReport `json:"latency"`
}

type anomalyReport struct {
	Strays       uint64 `json:"strays"`
	Misdelivered uint64 `json:"misdelivered"`
	Damaged      uint64 `json:"damaged"`
	Stale        uint64 `json:"stale"`
}

// serverReport is about the server's process.
type serverReport struct {
	CPUPerPacket      float64 `json:"cpu_us_per_packet"`
	SystemPercent     float64 `json:"system_percent_of_cpu"`
	Cores             float64 `json:"cores"`
	SwitchesPerPacket float64 `json:"switches_per_packet"`
	SocketDrops       uint64  `json:"socket_drops"` // datagrams that it did not read in time
	ResidentBefore    uint64  `json:"resident_bytes_before"`
	ResidentSetUp     uint64  `json:"resident_bytes_set_up"`
	ResidentAfter     uint64  `json:"resident_bytes_after"`
}

// generatorReport shows whether the generator or the host has affected the other figures.
type generatorReport struct {
	CPUPerPacket    float64      `json:"cpu_us_per_packet"`
	Cores           float64      `json:"cores"`
	Lateness        timingReport `json:"lateness"`
	WakeupsPerSec   float64      `json:"wakeups_per_second"`
	Skipped         uint64       `json:"skipped"`
	Unsent          uint64       `json:"unsent"`
	Refused         uint64       `json:"refused"`
	SocketDrops     uint64       `json:"socket_drops"`
	HostInterrupts  float64      `json:"host_interrupts_cores"`
	HostStolenCores float64      `json:"host_stolen_cores"`
}

func newTurnReport(plan trafficPlan) *turnReport {
	o := plan.options
	return &turnReport{Load: loadReport{
		Server: o.Server.String(), Transport: string(o.Transport),
		Allocations: o.Allocations, Peers: o.Peers,
		Rate: o.Rate, Size: o.Size, Burst: o.Burst, Direction: string(o.Direction),
		Indications: o.Indications, GSO: o.Segment, GRO: o.Coalesce,
		TickUS: micros(o.Tick), Seconds: plan.duration.Seconds(),
	}}
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func timing(h *quantile.Histogram) timingReport {
	return timingReport{micros(h.Quantile(0.5)), micros(h.Quantile(0.9)), micros(h.Quantile(0.99)), micros(h.Max())}
}

// ratio returns x/n, or 0 if n is 0.
func ratio(x, n float64) float64 {
	if n == 0 {
		return 0
	}
	return x / n
}

func (r *turnReport) fillSetUp(s *generator.SetUpResult) { r.SetUp = newSetUpReport(s) }

func newSetUpReport(s *generator.SetUpResult) setUpReport {
	return setUpReport{
		Allocations: s.Made,
		Seconds:     s.Elapsed.Seconds(),
		PerSecond:   ratio(float64(s.Made), s.Elapsed.Seconds()),
		Repeated:    s.Repeated,
		Requests:    requests(s.Times),
	}
}

func requests(times map[turnclient.Step]*quantile.Histogram) map[string]timingReport {
	all := make(map[string]timingReport, len(times))
	for step, h := range times {
		all[step.String()] = timing(h)
	}
	return all
}

// fillTraffic fills in the result of the measured phase.
func (r *turnReport) fillTraffic(t *generator.TrafficResult, used usage, measured bool) {
	seconds, received := t.Elapsed.Seconds(), float64(t.Received())
	r.Relayed = relayedReport{
		Sent:        t.Sent(),
		Received:    t.Received(),
		Lost:        t.Sent() - t.Received(),
		LossPercent: 100 * ratio(float64(t.Sent()-t.Received()), float64(t.Sent())),
		PerSecond:   ratio(received, seconds),
		Anomalies:   anomalyReport{t.Strays, t.Misdelivered, t.Damaged, t.Flows[0].Stale + t.Flows[1].Stale},
		Up:          newFlowReport(t, 0),
		Down:        newFlowReport(t, 1),
	}
	if measured {
		r.Server = &serverReport{
			CPUPerPacket:      ratio(micros(used.server.CPU), received),
			SystemPercent:     100 * ratio(used.server.System.Seconds(), (used.server.System+used.server.User).Seconds()),
			Cores:             ratio(used.server.CPU.Seconds(), seconds),
			SwitchesPerPacket: ratio(float64(used.server.Switches), received),
			SocketDrops:       used.serverDrops,
			ResidentBefore:    r.memory[0],
			ResidentSetUp:     r.memory[1],
			ResidentAfter:     r.memory[2],
		}
	}
	r.Generator = &generatorReport{
		CPUPerPacket:    ratio(micros(used.generator.CPU), received),
		Cores:           ratio(used.generator.CPU.Seconds(), seconds),
		Lateness:        timing(&t.Lateness),
		WakeupsPerSec:   ratio(float64(t.Wakeups), seconds),
		Skipped:         t.Skipped,
		Unsent:          t.Unsent,
		Refused:         t.Refused,
		SocketDrops:     used.generatorDrops,
		HostInterrupts:  ratio(used.host.Interrupts.Seconds(), seconds),
		HostStolenCores: ratio(used.host.Stolen.Seconds(), seconds),
	}
	r.Warnings = r.findWarnings(t)
}

func newFlowReport(t *generator.TrafficResult, way int) *flowReport {
	f := &t.Flows[way]
	if f.Sent == 0 {
		return nil
	}
	return &flowReport{f.Sent, f.Received, f.Lost(), f.Duplicates, f.Reordered, timing(t.Latency[way])}
}

// latency returns the latency of the direction in which it is worse.
func (r *turnReport) latency() timingReport {
	var worst timingReport
	for _, f := range []*flowReport{r.Relayed.Up, r.Relayed.Down} {
		if f != nil && f.Latency.P99 >= worst.P99 {
			worst = f.Latency
		}
	}
	return worst
}

// Above these limits, the figures depend more on the generator or the host than on the server.
const (
	tooLateUS     = 5000
	tooMuchStolen = 0.05
)

// findWarnings returns the reasons to doubt the figures.
func (r *turnReport) findWarnings(t *generator.TrafficResult) []string {
	var w []string
	add := func(bad bool, format string, args ...any) {
		if bad {
			w = append(w, fmt.Sprintf(format, args...))
		}
	}
	g, a := r.Generator, r.Relayed.Anomalies
	add(t.Skipped > 0, "the generator was too late for %d packets: lower --rate or raise --workers", t.Skipped)
	add(g.Lateness.P99 > tooLateUS, "1 %% of the sends were more than %.0f ms late: the host is too busy", g.Lateness.P99/1000)
	add(t.Unsent > 0, "%d packets were not sent, because the server reads its streams too slowly", t.Unsent)
	add(t.Refused > 0, "this host refused to send %d packets: %v", t.Refused, t.RefusedFor)
	add(g.SocketDrops > 0, "the generator lost %d packets because it did not read them in time", g.SocketDrops)
	add(r.Server != nil && g.Cores > r.Server.Cores, "the generator used more CPU than the server: it may have caused the latency itself")
	add(g.HostStolenCores > tooMuchStolen, "the hypervisor gave %.2f cores to other virtual machines", g.HostStolenCores)
	add(a.Misdelivered > 0, "%d packets had a wrong source or destination", a.Misdelivered)
	add(a.Damaged > 0, "%d packets arrived with another length than they were sent with", a.Damaged)
	for _, f := range t.Failures {
		add(true, "an allocation could not be refreshed: %v", f)
	}
	return w
}

func (t timingReport) String() string {
	return fmt.Sprintf("p50 %.0f  p90 %.0f  p99 %.0f  max %.0f us", t.P50, t.P90, t.P99, t.Max)
}

func mib(n uint64) float64 { return float64(n) / (1 << 20) }

func (r *turnReport) text(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		_, _ = fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	l := r.Load
	line("load", "%d allocations over %s, %d peers, %d pps of %d B in bursts of %d, %s, %.0f s", l.Allocations, l.Transport, l.Peers, l.Rate, l.Size, l.Burst, l.Direction, l.Seconds)
	line("set-up", "%.0f allocations/s (%d in %.3f s, %d requests repeated)", r.SetUp.PerSecond, r.SetUp.Allocations, r.SetUp.Seconds, r.SetUp.Repeated)
	line("  allocate", "%v", r.SetUp.Requests[turnclient.Allocate.String()])
	line("relayed", "%d of %d packets, %d lost (%.4f %%), %.0f/s", r.Relayed.Received, r.Relayed.Sent, r.Relayed.Lost, r.Relayed.LossPercent, r.Relayed.PerSecond)
	for i, f := range []*flowReport{r.Relayed.Up, r.Relayed.Down} {
		if f != nil {
			line([]string{"  up", "  down"}[i], "%v, %d lost, %d reordered, %d duplicates", f.Latency, f.Lost, f.Reordered, f.Duplicates)
		}
	}
	if s := r.Server; s != nil {
		line("server", "%.3f us CPU per packet (%.0f %% system), %.2f cores, %.3f switches per packet", s.CPUPerPacket, s.SystemPercent, s.Cores, s.SwitchesPerPacket)
		if s.SocketDrops > 0 {
			line("  lost", "%d datagrams at its sockets, which it did not read in time", s.SocketDrops)
		}
		line("  memory", "%.1f MiB before, %.1f with allocations, %.1f after", mib(s.ResidentBefore), mib(s.ResidentSetUp), mib(s.ResidentAfter))
	}
	g := r.Generator
	line("generator", "%.3f us CPU per packet, %.2f cores, %.0f wake-ups/s", g.CPUPerPacket, g.Cores, g.WakeupsPerSec)
	line("  lateness", "%v", g.Lateness)
	if len(r.Warnings) > 0 {
		line("warnings", "%s", strings.Join(r.Warnings, "\n\t"))
	}
	_ = w.Flush()
}
