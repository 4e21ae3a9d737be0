package signaltest

import (
	"fmt"
	"testing"

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
	var got float64
	defer func() {
		if got != want {
			tb.Logf("it is %v", got)
		}
	}()
	Until(tb, fmt.Sprintf("%s{%s=%q} becomes %v", name, label, value, want), func() bool {
		got = Metric(tb, from, name, label, value)
		return got == want
	})
}
