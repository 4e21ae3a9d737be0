package main

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// series has the metrics of a daemon: for each name, the values of each label.
type series map[string]map[string][]string

var (
	sample   = regexp.MustCompile(`(?m)^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? \S+$`)
	label    = regexp.MustCompile(`([a-z_]+)(=~|!~|!=|=)"((?:[^"\\]|\\.)*)"`)
	metric   = regexp.MustCompile(`\b((?:icebox|process|go)_[a-z0-9_]+)\b(?:\{([^}]*)\})?`)
	grouping = regexp.MustCompile(`\bby \(([^)]*)\)`)
)

// scraped returns the series of a daemon with TLS.
func scraped(t *testing.T) series {
	p := serve(t, newHome(t, "tls: self-signed\n"+ephemeral))
	_, text := get(t, p.admin()+"/metrics")
	all := make(series)
	for _, m := range sample.FindAllStringSubmatch(text, -1) {
		if all[m[1]] == nil {
			all[m[1]] = make(map[string][]string)
		}
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			all[m[1]][l[1]] = append(all[m[1]][l[1]], l[3])
		}
	}
	return all
}

// targetLabels are the labels that Prometheus adds to every series.
var targetLabels = []string{"instance", "job"}

// check reports every name in a PromQL expression that the daemon does not have.
func (s series) check(t *testing.T, where, expr string) {
	t.Helper()
	found := metric.FindAllStringSubmatch(expr, -1)
	if len(found) == 0 {
		t.Errorf("%s: no metric in %s", where, expr)
	}
	known := make(map[string]bool)
	for _, m := range found {
		labels, ok := s[m[1]]
		if !ok {
			t.Errorf("%s: there is no metric %s", where, m[1])
			continue
		}
		for name := range labels {
			known[name] = true
		}
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			if slices.Contains(targetLabels, l[1]) {
				continue
			}
			for value := range strings.SplitSeq(l[3], "|") {
				if !slices.Contains(labels[l[1]], value) {
					t.Errorf("%s: no series %s has %s=%q, of %v", where, m[1], l[1], value, labels[l[1]])
				}
			}
		}
	}
	for _, g := range grouping.FindAllStringSubmatch(expr, -1) {
		for name := range strings.SplitSeq(g[1], ",") {
			if name = strings.TrimSpace(name); !known[name] && !slices.Contains(targetLabels, name) {
				t.Errorf("%s: no metric in it has the label %s", where, name)
			}
		}
	}
}

// TestMonitoringNamesWhatExists: every metric, label and value in the alerts and the dashboard exists from the first scrape on.
func TestMonitoringNamesWhatExists(t *testing.T) {
	have := scraped(t)
	t.Run("alerts", func(t *testing.T) {
		var file struct {
			Groups []struct {
				Rules []struct{ Alert, Expr string }
			}
		}
		read(t, "../../deploy/prometheus/icebox.rules.yml", yaml.Unmarshal, &file)
		n := 0
		for _, g := range file.Groups {
			for _, r := range g.Rules {
				have.check(t, r.Alert, r.Expr)
				n++
			}
		}
		if n < 5 {
			t.Errorf("the file has %d alerts", n)
		}
	})
	t.Run("dashboard", func(t *testing.T) {
		var file struct {
			Panels []struct {
				Title   string
				Targets []struct{ Expr, LegendFormat string }
			}
		}
		read(t, "../../deploy/grafana/icebox.json", json.Unmarshal, &file)
		for _, p := range file.Panels {
			for _, target := range p.Targets {
				have.check(t, p.Title, target.Expr)
			}
		}
		if len(file.Panels) < 10 {
			t.Errorf("the dashboard has %d panels", len(file.Panels))
		}
	})
}

func read(t *testing.T, name string, decode func([]byte, any) error, to any) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := decode(text, to); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}
