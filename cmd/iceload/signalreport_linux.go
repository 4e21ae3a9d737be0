package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"icebox/cmd/iceload/hubload"
)

// signalReport is the output of `iceload signal`.
type signalReport struct {
	Server   string           `json:"server"`
	TLS      bool             `json:"tls"`
	Protocol string           `json:"protocol"`
	Loads    []exchangeReport `json:"loads"`
	Idle     *idleReport      `json:"idle,omitempty"`
}

// exchangeReport is the result of the load candidate, offer or sign-in.
type exchangeReport struct {
	Name         string       `json:"name"`
	Unit         string       `json:"unit"`
	Clients      int          `json:"clients"`
	Rate         int          `json:"rate"`
	Size         int          `json:"size,omitempty"`
	Seconds      float64      `json:"seconds"`
	Sent         uint64       `json:"sent"`
	Received     uint64       `json:"received"`
	Skipped      uint64       `json:"skipped,omitempty"`
	Latency      timingReport `json:"latency"`
	Late         timingReport `json:"generator_late"`
	GeneratorCPU float64      `json:"generator_cpu_us"`
	CPU          float64      `json:"cpu_us,omitempty"` // the server's, per message or sign-in
	System       float64      `json:"system_percent_of_cpu,omitempty"`
	Cores        float64      `json:"cores,omitempty"`
	Switches     float64      `json:"switches,omitempty"`
	Resident     uint64       `json:"resident_bytes,omitempty"`
	Failures     uint64       `json:"failures,omitempty"`
	Failure      string       `json:"failure,omitempty"`
	Warnings     []string     `json:"warnings,omitempty"`
	hasProcess   bool
}

// idleReport is the result of the load idle.
type idleReport struct {
	Before        uint64     `json:"resident_bytes_before"`
	Steps         []idleStep `json:"steps"`
	PerConnection float64    `json:"bytes_per_connection"`
}

type idleStep struct {
	Connections int     `json:"connections"`
	Resident    uint64  `json:"resident_bytes"`
	PerSecond   float64 `json:"sign_ins_per_second"`
}

// The report warns if the generator was late by more than lateness at the 99th percentile.
const lateness = time.Millisecond

func (r *exchangeReport) fill(e *hubload.Result, used usage, resident uint64, processed bool) {
	n := float64(e.Received)
	r.Seconds = e.Elapsed.Seconds()
	r.Sent, r.Received, r.Skipped, r.Failures = e.Sent, e.Received, e.Skipped, e.Failed
	r.Latency, r.Late = timing(e.Latency), timing(&e.Lateness)
	r.GeneratorCPU = ratio(micros(used.generator.CPU), n)
	if e.Failure != nil {
		r.Failure = e.Failure.Error()
	}
	if r.hasProcess = processed; processed {
		r.CPU = ratio(micros(used.server.CPU), n)
		r.System = 100 * ratio(used.server.System.Seconds(), (used.server.System+used.server.User).Seconds())
		r.Cores = ratio(used.server.CPU.Seconds(), r.Seconds)
		r.Switches = ratio(float64(used.server.Switches), n)
		r.Resident = resident
	}
	warn := func(bad bool, format string, args ...any) {
		if bad {
			r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...))
		}
	}
	warn(r.Failures > 0, "%d failed, the first with: %s", r.Failures, r.Failure)
	warn(r.Received < r.Sent, "%d of %d never arrived", r.Sent-r.Received, r.Sent)
	warn(r.Skipped > 0, "%d were not sent, because the generator was delayed", r.Skipped)
	warn(e.Lateness.Quantile(0.99) > lateness, "the generator was late by %.0f us at the 99th percentile", r.Late.P99)
	warn(used.host.Stolen.Seconds() > 0.02*r.Seconds, "the hypervisor gave %.1f s of processor time to other virtual machines", used.host.Stolen.Seconds())
}

func (r *signalReport) text(out io.Writer) {
	_, _ = fmt.Fprintf(out, "%s protocol, %s, %s\n", r.Protocol, r.Server, map[bool]string{false: "plain", true: "TLS"}[r.TLS])
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, e := range r.Loads {
		size := ""
		if e.Size > 0 {
			size = fmt.Sprintf(" of %d B", e.Size)
		}
		_, _ = fmt.Fprintf(w, "%s\t%d/s%s, %d clients, %.1f s: %d of %d arrived\n", e.Name, e.Rate, size, e.Clients, e.Seconds, e.Received, e.Sent)
		_, _ = fmt.Fprintf(w, "  latency\t%v\n", e.Latency)
		if e.hasProcess {
			_, _ = fmt.Fprintf(w, "  server\t%.1f us CPU per %s (%.0f %% system), %.2f cores, %.2f switches, %.1f MiB\n",
				e.CPU, e.Unit, e.System, e.Cores, e.Switches, mib(e.Resident))
		}
		_, _ = fmt.Fprintf(w, "  generator\t%.1f us CPU per %s, late by %.0f us (p99)\n", e.GeneratorCPU, e.Unit, e.Late.P99)
	}
	if i := r.Idle; i != nil {
		_, _ = fmt.Fprintf(w, "idle\t%.1f MiB before\n", mib(i.Before))
		for _, s := range i.Steps {
			_, _ = fmt.Fprintf(w, "  %d\t%.1f MiB, %.0f sign-ins/s\n", s.Connections, mib(s.Resident), s.PerSecond)
		}
		_, _ = fmt.Fprintf(w, "  slope\t%.0f bytes per connection\n", i.PerConnection)
	}
	_ = w.Flush()
	for _, e := range r.Loads {
		for _, warning := range e.Warnings {
			_, _ = fmt.Fprintf(out, "! %s: %s\n", e.Name, warning)
		}
	}
}
