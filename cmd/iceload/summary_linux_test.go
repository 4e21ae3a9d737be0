package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		all  []float64
		want spread
	}{
		{nil, spread{}},
		{[]float64{3}, spread{3, 3, 3}},
		{[]float64{4, 1}, spread{2.5, 1, 4}},
		{[]float64{9, 1, 4}, spread{4, 1, 9}},
	} {
		if got := newSpread(c.all); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.all, got, c.want)
		}
	}
}

func TestRatiosAreTakenWithinARound(t *testing.T) {
	runs := []sample{{Value: 2}, {Value: 30}, {Error: "it broke"}, {Value: 4, Warnings: []string{"late"}}, {Value: 5}}
	reference := []sample{{Value: 4}, {Value: 40}, {Value: 1}, {Value: 4}, {Error: "it broke"}}
	r := newContenderReport("x", runs, reference)
	if r.Ratio != (spread{0.75, 0.5, 1}) || r.Value != (spread{4.5, 2, 30}) || r.Doubtful != 1 || len(r.Runs) != 5 {
		t.Errorf("report %+v", r)
	}
}

func TestRows(t *testing.T) {
	r, err := parseRow("size=1000, burst=8,direction=up,transport=tcp,gso,gro=false,indications=true,peers=3")
	if err != nil {
		t.Fatal(err)
	}
	if want := "1000 B x 8, up, tcp, 50 allocations, 10000 pps, 3 peers, indications, gso"; r.title() != want {
		t.Errorf("%s, want %s", r.title(), want)
	}
	for _, text := range []string{"", "size", "size=x", "gso=x", "colour=red"} {
		if _, err := parseRow(text); err == nil {
			t.Errorf("parseRow accepts %q", text)
		}
	}
	for name, rows := range rowSets {
		seen := make(map[string]bool)
		for _, r := range rows {
			if seen[r.title()] {
				t.Errorf("row set %s has two rows %s", name, r.title())
			}
			seen[r.title()] = true
		}
	}
}

func TestCompareText(t *testing.T) {
	r := &compareReport{Rounds: 3, Reference: "coturn", Tests: []testReport{{Name: "a row", Unit: "us/packet", Servers: []contenderReport{{
		Name: "icebox", Value: spread{2.345, 2, 3}, Ratio: spread{0.75, 0.7, 0.8}, P50: spread{Median: 100}, P99: spread{250, 200, 300},
		Doubtful: 1, Runs: []sample{{}, {Warnings: []string{"too late"}}, {}},
	}}}}}
	var out bytes.Buffer
	r.text(&out)
	for _, want := range []string{"2.35 (2.00-3.00)", "0.75 (0.70-0.80)", "250 (200-300)", "1 of 3", "! icebox, a row: too late"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing from\n%s", want, out.String())
		}
	}
}
