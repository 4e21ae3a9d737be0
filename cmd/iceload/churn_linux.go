package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"icebox/cmd/iceload/generator"
	"icebox/cmd/iceload/procstat"
	"icebox/cmd/iceload/turnclient"
)

// maxCycles is the upper limit of --cycles.
const maxCycles = 100_000_000

// churnPlan describes one run of `iceload churn`.
type churnPlan struct {
	options  generator.Options
	duration time.Duration
	cycles   uint64
}

func (p *program) churnCommand() *cobra.Command {
	var t target
	var concurrency int
	var plan churnPlan
	c := &cobra.Command{
		Use:   "churn",
		Short: "Create and release allocations: rate, latency, the server's CPU time per cycle",
		Long: `Churn lets clients run cycles: Allocate (which the server challenges first), CreatePermission,
ChannelBind, Refresh, and Refresh with lifetime 0. Then each client starts over, from
another address and port. A client sends its next request when the response to the last has
arrived, so the rate is what server and generator can do together.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if plan.duration <= 0 || plan.duration > generator.MaxDuration || plan.cycles < 1 || plan.cycles > maxCycles {
				return fmt.Errorf("--duration must be at most %v and --cycles 1 to %d", generator.MaxDuration, maxCycles)
			}
			var err error
			if plan.options, err = t.generatorOptions(c.Context(), concurrency); err != nil {
				return err
			}
			if err := plan.options.Validate(); err != nil {
				return err
			}
			server, err := t.openProcess()
			if err != nil {
				return err
			}
			report, err := p.measureChurn(c.Context(), plan, server)
			if err != nil {
				return failed(err)
			}
			return failed(p.print(report))
		},
	}
	set := c.Flags()
	t.flags(set)
	_ = set.MarkHidden("window") // --concurrency takes its place
	set.IntVar(&concurrency, "concurrency", 32, "number of concurrent clients")
	set.DurationVar(&plan.duration, "duration", 10*time.Second, "how long to churn")
	set.Uint64Var(&plan.cycles, "cycles", maxCycles, "number of cycles after which to stop")
	return c
}

// churnReport is the output of `iceload churn`.
type churnReport struct {
	Server       string                  `json:"server"`
	Transport    string                  `json:"transport"`
	Concurrency  int                     `json:"concurrency"`
	Cycles       uint64                  `json:"cycles"`
	Seconds      float64                 `json:"seconds"`
	PerSecond    float64                 `json:"cycles_per_second"`
	Cycle        timingReport            `json:"cycle"`
	Requests     map[string]timingReport `json:"requests"`
	Repeated     uint64                  `json:"repeated_requests"`
	Failures     []generator.Failure     `json:"failures,omitempty"`
	Process      *churnServerReport      `json:"process,omitempty"`
	GeneratorCPU float64                 `json:"generator_cpu_us_per_cycle"`
}

// churnServerReport is about the server's process.
type churnServerReport struct {
	CPUPerCycle    float64 `json:"cpu_us_per_cycle"`
	SystemPercent  float64 `json:"system_percent_of_cpu"`
	Cores          float64 `json:"cores"`
	ResidentBefore uint64  `json:"resident_bytes_before"`
	ResidentAfter  uint64  `json:"resident_bytes_after"`
}

// measureChurn runs a plan and measures the server, whose process may be nil.
func (p *program) measureChurn(ctx context.Context, plan churnPlan, server *procstat.Process) (r *churnReport, err error) {
	g, err := newUsageReader(server)
	if err != nil {
		return nil, err
	}
	resident, err := g.resident()
	if err != nil {
		return nil, err
	}
	churn, err := generator.NewChurn(plan.options)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, churn.Close()) }()
	before, err := g.read()
	if err != nil {
		return nil, err
	}
	stop := p.startProgress(plan.duration, func() string { return fmt.Sprintf("%d cycles", churn.Progress()) })
	churned, err := churn.Run(ctx, plan.duration, plan.cycles)
	stop()
	if err != nil {
		return nil, err
	}
	after, err := g.read()
	if err != nil {
		return nil, err
	}
	if churned.Cycles == 0 && len(churned.Failures) > 0 {
		return nil, fmt.Errorf("no cycle was completed: %v", churned.Failures[0])
	}
	used := after.since(before)
	r = newChurnReport(plan, churned, used)
	if server != nil {
		r.Process = &churnServerReport{
			CPUPerCycle:    ratio(micros(used.server.CPU), float64(churned.Cycles)),
			SystemPercent:  100 * ratio(used.server.System.Seconds(), (used.server.System+used.server.User).Seconds()),
			Cores:          ratio(used.server.CPU.Seconds(), churned.Elapsed.Seconds()),
			ResidentBefore: resident,
		}
		r.Process.ResidentAfter, err = g.resident()
	}
	return r, errors.Join(err, ctx.Err())
}

func newChurnReport(plan churnPlan, c *generator.ChurnResult, used usage) *churnReport {
	return &churnReport{
		Server: plan.options.Server.String(), Transport: string(plan.options.Transport),
		Concurrency:  plan.options.Allocations,
		Cycles:       c.Cycles,
		Seconds:      c.Elapsed.Seconds(),
		PerSecond:    ratio(float64(c.Cycles), c.Elapsed.Seconds()),
		Cycle:        timing(&c.Cycle),
		Requests:     requests(c.Times),
		Repeated:     c.Repeated,
		Failures:     c.Failures,
		GeneratorCPU: ratio(micros(used.generator.CPU), float64(c.Cycles)),
	}
}

func (r *churnReport) text(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		_, _ = fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	line("load", "%d clients at a time over %s, %.1f s", r.Concurrency, r.Transport, r.Seconds)
	line("cycles", "%.0f/s (%d), %d requests repeated", r.PerSecond, r.Cycles, r.Repeated)
	line("  each", "%v", r.Cycle)
	for step := turnclient.Allocate; step <= turnclient.Release; step++ {
		if t, ok := r.Requests[step.String()]; ok {
			line("  "+step.String(), "%v", t)
		}
	}
	if s := r.Process; s != nil {
		line("server", "%.1f us CPU per cycle (%.0f %% system), %.2f cores", s.CPUPerCycle, s.SystemPercent, s.Cores)
		line("  memory", "%.1f MiB before, %.1f after", mib(s.ResidentBefore), mib(s.ResidentAfter))
	}
	line("generator", "%.1f us CPU per cycle", r.GeneratorCPU)
	for _, f := range r.Failures {
		line("failure", "%v", f)
	}
	_ = w.Flush()
}
