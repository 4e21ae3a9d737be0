package signaltest

import (
	"math"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metric returns the value of a counter or gauge. Of several series, it is the one that has this label with this value. An
// empty label stands for any label, and an empty value for any series.
func Metric(tb testing.TB, from prometheus.Gatherer, name, label, value string) float64 {
	tb.Helper()
	families, err := from.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			found := value == ""
			for _, l := range m.GetLabel() {
				found = found || l.GetValue() == value && (label == "" || l.GetName() == label)
			}
			if found && f.GetName() == name {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	tb.Fatalf("there is no %s{%s=%q}", name, label, value)
	return 0
}

// UntilMetric waits until [Metric] returns want.
func UntilMetric(tb testing.TB, from prometheus.Gatherer, name, label, value string, want float64) {
	tb.Helper()
	got := math.NaN()
	for end := time.Now().Add(Patience); got != want; {
		if time.Now().After(end) {
			tb.Fatalf("%s{%s=%q} is %v, want %v", name, label, value, got, want)
		}
		got = Metric(tb, from, name, label, value)
	}
}
