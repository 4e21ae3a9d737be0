package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// compareReport is the output of `iceload compare`.
type compareReport struct {
	Rounds    int          `json:"rounds"`
	Reference string       `json:"reference"`
	Tests     []testReport `json:"tests"`
}

type testReport struct {
	Name    string            `json:"name"`
	Unit    string            `json:"unit"`
	Servers []contenderReport `json:"servers"`
}

// contenderReport is one contender's result in one test. Runs has a sample for each round.
type contenderReport struct {
	Name     string   `json:"name"`
	Value    spread   `json:"value"`
	Ratio    spread   `json:"ratio"` // to the reference in the same round
	P50      spread   `json:"p50_us"`
	P99      spread   `json:"p99_us"`
	Loss     spread   `json:"loss_percent"`
	Switches spread   `json:"switches_per_packet"`
	Doubtful int      `json:"doubtful_runs"`
	Runs     []sample `json:"runs"`
}

// spread is the median, the minimum and the maximum of some figures.
type spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// newSpread returns the spread of all, or the zero spread if all is empty.
func newSpread(all []float64) spread {
	if len(all) == 0 {
		return spread{}
	}
	all = slices.Sorted(slices.Values(all))
	n := len(all)
	return spread{(all[(n-1)/2] + all[n/2]) / 2, all[0], all[n-1]}
}

func (s spread) format(digits int) string {
	return fmt.Sprintf("%.*f (%.*f-%.*f)", digits, s.Median, digits, s.Low, digits, s.High)
}

// newResults returns an empty sample for each test, contender and round, indexed in this order.
func newResults(c *comparison) [][][]sample {
	results := make([][][]sample, len(c.tests))
	for i := range results {
		results[i] = make([][]sample, len(c.contenders))
		for j := range results[i] {
			results[i][j] = make([]sample, c.rounds)
		}
	}
	return results
}

// newCompareReport summarizes the samples. Its error lists the runs that failed.
func newCompareReport(c *comparison, results [][][]sample) (*compareReport, error) {
	r := &compareReport{Rounds: c.rounds, Reference: c.contenders[c.reference].Name}
	var errs []error
	for i, t := range c.tests {
		tr := testReport{Name: t.name, Unit: t.unit}
		for j, entrant := range c.contenders {
			cr := newContenderReport(entrant.Name, results[i][j], results[i][c.reference])
			tr.Servers = append(tr.Servers, cr)
			for round, s := range cr.Runs {
				if s.Error != "" && s.Error != interrupted {
					errs = append(errs, fmt.Errorf("round %d, %s, %s: %s", round+1, entrant.Name, t.name, s.Error))
				}
			}
		}
		r.Tests = append(r.Tests, tr)
	}
	return r, errors.Join(errs...)
}

func newContenderReport(name string, runs, reference []sample) contenderReport {
	var value, ratio, p50, p99, loss, switches []float64
	r := contenderReport{Name: name, Runs: runs}
	for round, s := range runs {
		if s.Error != "" {
			continue
		}
		if len(s.Warnings) > 0 {
			r.Doubtful++
		}
		value, p50, p99 = append(value, s.Value), append(p50, s.P50), append(p99, s.P99)
		loss, switches = append(loss, s.Loss), append(switches, s.Switches)
		if base := reference[round]; base.Error == "" && base.Value > 0 {
			ratio = append(ratio, s.Value/base.Value)
		}
	}
	r.Value, r.Ratio = newSpread(value), newSpread(ratio)
	r.P50, r.P99 = newSpread(p50), newSpread(p99)
	r.Loss, r.Switches = newSpread(loss), newSpread(switches)
	return r
}

func (r *compareReport) text(out io.Writer) {
	_, _ = fmt.Fprintf(out, "medians of %d rounds (least-greatest), ratios to %s in the same round\n", r.Rounds, r.Reference)
	for _, t := range r.Tests {
		_, _ = fmt.Fprintf(out, "\n%s\n", t.Name)
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintf(w, "\t%s\tratio\tp50 us\tp99 us\tloss %%\tswitches each\tdoubtful\n", t.Unit)
		for _, s := range t.Servers {
			if s.failed() {
				_, _ = fmt.Fprintf(w, "%s\tfailed\n", s.Name)
				continue
			}
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%.0f\t%s\t%.4f\t%.3f\t%d of %d\n", s.Name, s.Value.format(2), s.Ratio.format(2),
				s.P50.Median, s.P99.format(0), s.Loss.Median, s.Switches.Median, s.Doubtful, len(s.Runs))
		}
		_ = w.Flush()
	}
	r.printWarnings(out)
}

// failed reports whether every run failed.
func (r *contenderReport) failed() bool {
	return !slices.ContainsFunc(r.Runs, func(s sample) bool { return s.Error == "" })
}

// printWarnings prints the warnings of all runs, each kind once per contender and test.
func (r *compareReport) printWarnings(out io.Writer) {
	seen := make(map[string]bool)
	for _, t := range r.Tests {
		for _, s := range t.Servers {
			for _, run := range s.Runs {
				for _, w := range run.Warnings {
					key := t.Name + s.Name + w[:min(len(w), 24)]
					if !seen[key] {
						seen[key] = true
						_, _ = fmt.Fprintf(out, "\n! %s, %s: %s", s.Name, t.Name, w)
					}
				}
			}
		}
	}
	if len(seen) > 0 {
		_, _ = fmt.Fprintln(out)
	}
}
