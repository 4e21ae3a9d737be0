package daemon

import (
	"errors"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"icebox/config"
)

var errRestart = errors.New("has changed, and takes a restart")

// reload reads the configuration again and puts it in force. If anything is wrong with it, reload changes nothing and returns
// every mistake. Only the control goroutine may call it. Running calls continue under the new limits, see
// [turnserver.Server.SetLimits].
func (d *Daemon) reload() (changed []string, err error) {
	changed, err = d.apply()
	d.mu.Lock()
	d.reloadErr = err
	d.mu.Unlock()
	if err != nil {
		d.reloads.total.WithLabelValues("refused").Inc()
		for line := range strings.SplitSeq(err.Error(), "\n") {
			d.log.Error("reload refused, nothing has changed", "error", line)
		}
	} else {
		d.reloads.applied()
		d.log.Info("reloaded", "changed", strings.Join(changed, " "))
	}
	d.updateWarnings()
	return changed, err
}

// apply does everything that can fail first, and then swaps in the new values, which can't fail. It refuses a change of
// a setting that package config does not tag as reloadable. A reload can change the file names in tls, but it cannot
// turn tls on or off.
func (d *Daemon) apply() (changed []string, err error) {
	next, err := d.options.Load()
	if err != nil {
		return nil, err
	}
	var refused config.Errors
	for _, c := range config.Changes(d.cfg(), next) {
		changed = append(changed, c.Key)
		if !c.Reloadable || c.Key == "tls" && (d.files == nil || next.TLS.SelfSigned || !next.TLS.Enabled()) {
			refused = append(refused, c.Error(errRestart))
		}
	}
	var problems []error
	if refused.Sort(); len(refused) > 0 {
		problems = append(problems, refused)
	}
	var sets []func()
	prepared := func(set func(), err error) {
		if err != nil {
			problems = append(problems, err)
		}
		sets = append(sets, set)
	}
	if d.files != nil && next.TLS.Certificate != "" {
		prepared(d.files.Prepare(next.TLS.Certificate, next.TLS.Key))
	}
	if limits, err := d.turnLimits(next); err == nil {
		prepared(d.turn.PrepareLimits(limits))
	} else {
		problems = append(problems, err)
	}
	if limits, _, err := signalLimits(next); err == nil {
		prepared(d.gate.PrepareLimits(limits))
	} else {
		problems = append(problems, err)
	}
	for _, p := range d.protocols {
		if p.prepare != nil {
			prepared(p.prepare(next))
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	for _, set := range sets {
		set()
	}
	d.options.Level.Set(next.Log.Level.Level())
	d.running.Store(next)
	return changed, nil
}

// reloadMetrics show whether the configuration on disk is in force.
type reloadMetrics struct {
	total  *prometheus.CounterVec
	loaded prometheus.Gauge
}

func newReloadMetrics(r prometheus.Registerer) *reloadMetrics {
	m := &reloadMetrics{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "icebox_config_reloads_total", Help: "Reloads of the configuration, by outcome.",
		}, []string{"outcome"}),
		loaded: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "icebox_config_loaded_timestamp_seconds", Help: "When the configuration in force was read.",
		}),
	}
	r.MustRegister(m.total, m.loaded)
	m.total.WithLabelValues("applied")
	m.total.WithLabelValues("refused")
	m.loaded.SetToCurrentTime()
	return m
}

func (m *reloadMetrics) applied() {
	m.total.WithLabelValues("applied").Inc()
	m.loaded.SetToCurrentTime()
}
