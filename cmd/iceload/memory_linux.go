package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"icebox/cmd/iceload/generator"
	"icebox/cmd/iceload/procstat"
)

// settledMemory reads the server's memory every settleInterval until two consecutive readings differ by less than
// 1/steady, but at most settleReadings times.
const (
	settleInterval = 250 * time.Millisecond
	settleReadings = 20
	steady         = 500
)

func (p *program) memoryCommand() *cobra.Command {
	var t target
	var counts []int
	c := &cobra.Command{
		Use:   "memory",
		Short: "Keep allocations: the server's memory per allocation",
		Long: `Memory creates allocations with one permission and one channel each, and reads the server's
resident memory at each of the given counts. The slope between the first and the last is
what one allocation costs. It does not include the kernel's memory for the sockets.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if len(counts) < 2 || !slices.IsSorted(counts) || counts[0] < 1 || counts[0] == counts[len(counts)-1] {
				return errors.New("--counts must be at least two numbers in ascending order")
			}
			options, err := t.generatorOptions(c.Context(), counts[len(counts)-1])
			if err != nil {
				return err
			}
			if err := options.Validate(); err != nil {
				return err
			}
			server, err := t.openProcess()
			if err != nil {
				return err
			}
			if server == nil {
				return errors.New("--pid is missing")
			}
			report, err := p.measureMemory(c.Context(), options, counts, server)
			if report != nil {
				err = errors.Join(p.print(report), err)
			}
			return failed(err)
		},
	}
	set := c.Flags()
	t.flags(set)
	_ = c.MarkFlagRequired("pid")
	set.IntSliceVar(&counts, "counts", []int{1000, 10_000}, "numbers of allocations at which to read the server's memory")
	return c
}

// memoryReport is the output of `iceload memory`.
type memoryReport struct {
	Server        string       `json:"server"`
	Transport     string       `json:"transport"`
	Before        uint64       `json:"resident_bytes_before"`
	Steps         []memoryStep `json:"steps"`
	PerAllocation float64      `json:"bytes_per_allocation"`
	After         uint64       `json:"resident_bytes_after_release"`
}

// memoryStep is the server's memory at one count.
type memoryStep struct {
	Allocations int     `json:"allocations"`
	Resident    uint64  `json:"resident_bytes"`
	PerSecond   float64 `json:"set_up_per_second"`
}

// measureMemory reads the server's memory at each of counts. If the server refuses allocations,
// measureMemory returns the error together with a report of the counts that were reached.
func (p *program) measureMemory(ctx context.Context, o generator.Options, counts []int, server *procstat.Process) (r *memoryReport, err error) {
	r = &memoryReport{Server: o.Server.String(), Transport: string(o.Transport)}
	if r.Before, err = settledMemory(ctx, server); err != nil {
		return nil, err
	}
	load, err := generator.New(o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, load.Close()) }()
	refusal := p.measureSteps(ctx, load, counts, server, r)
	if len(r.Steps) > 1 {
		first, last := r.Steps[0], r.Steps[len(r.Steps)-1]
		r.PerAllocation = ratio(float64(last.Resident)-float64(first.Resident), float64(last.Allocations-first.Allocations))
	}
	if err := load.TearDown(ctx); err != nil {
		return r, errors.Join(refusal, err)
	}
	if r.After, err = settledMemory(ctx, server); err != nil {
		return r, errors.Join(refusal, err)
	}
	return r, refusal
}

// measureSteps creates allocations up to each count and reads the server's memory there.
func (p *program) measureSteps(ctx context.Context, load *generator.Load, counts []int, server *procstat.Process, r *memoryReport) error {
	had := 0
	for _, n := range counts {
		p.progress("%d allocations ...", n)
		setUp, refusal := load.SetUp(ctx, n)
		if setUp.Made > had {
			resident, err := settledMemory(ctx, server)
			if err != nil {
				return err
			}
			r.Steps = append(r.Steps, memoryStep{setUp.Made, resident, ratio(float64(setUp.Made-had), setUp.Elapsed.Seconds())})
		}
		if refusal != nil {
			return refusal
		}
		had = setUp.Made
	}
	return nil
}

// settledMemory returns the server's resident memory once it no longer changes.
func settledMemory(ctx context.Context, server *procstat.Process) (uint64, error) {
	ticker := time.NewTicker(settleInterval)
	defer ticker.Stop()
	var last uint64
	for range settleReadings {
		n, err := server.Resident()
		if err != nil {
			return 0, err
		}
		if change := max(n, last) - min(n, last); last != 0 && change < n/steady {
			return n, nil
		}
		last = n
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-ticker.C:
		}
	}
	return last, nil
}

func (r *memoryReport) text(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "allocations\tresident\tset-up\n0\t%.1f MiB\t\n", mib(r.Before))
	for _, s := range r.Steps {
		_, _ = fmt.Fprintf(w, "%d\t%.1f MiB\t%.0f/s\n", s.Allocations, mib(s.Resident), s.PerSecond)
	}
	_, _ = fmt.Fprintf(w, "released\t%.1f MiB\t\n", mib(r.After))
	_ = w.Flush()
	if len(r.Steps) > 1 {
		_, _ = fmt.Fprintf(out, "\n%.0f bytes for each allocation\n", r.PerAllocation)
	}
}
