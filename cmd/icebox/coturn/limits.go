package coturn

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// limits translates quotas and bandwidths. In coturn, 0 means no limit.
func (t *translation) limits() {
	if n, ok := t.quota("user-quota"); ok && n > 0 {
		t.doc.set("turn.limits.allocations_per_user", n, "")
	} else if len(t.all("user")) > 0 && !t.usesSecret() {
		t.doc.set("turn.limits.allocations_per_user", 1<<14, "The file has no user-quota, but all clients of a user share its quota here.")
	}
	if n, ok := t.quota("total-quota"); ok && n > 0 {
		t.doc.set("turn.limits.allocations", n, "")
	}
	for option, key := range map[string]string{"bps-capacity": "bandwidth", "max-bps": "bandwidth_per_allocation"} {
		l, ok := t.last(option)
		if !ok {
			continue
		}
		if n, ok := t.number(l, 0, math.MaxInt32<<20); ok && n > 0 {
			t.doc.set("turn.limits."+key, size(n), "")
		}
	}
}

func (t *translation) quota(option string) (int64, bool) {
	l, ok := t.last(option)
	if !ok {
		return 0, false
	}
	return t.number(l, 0, math.MaxInt32)
}

// size returns n bytes in the form of the configuration.
func size(n int64) any {
	if n <= math.MaxInt32 {
		return n
	}
	return fmt.Sprintf("%dMiB", n>>20)
}

// logging translates the log level.
func (t *translation) logging() {
	level := ""
	if t.on("verbose") || t.on("Verbose") {
		level = "debug"
	}
	if l, ok := t.last("log-min-level"); ok {
		switch v := strings.ToLower(l.value); v {
		case "warning":
			level = "warn"
		case "debug", "info", "error":
			level = v
		default:
			t.reportLost(l, "want debug, info, warning or error")
		}
	}
	if level != "" {
		t.doc.set("log.level", level, "")
	}
}

// Ports of the default configuration on loopback.
const (
	adminPort = 9641
	webPort   = 8080
)

// loopbackPorts moves the listeners that coturn does not have, or has elsewhere, to ports without a TURN listener.
func (t *translation) loopbackPorts() {
	admin := uint16(adminPort)
	if l, ok := t.last("prometheus-port"); ok {
		if n, ok := t.number(l, 1, 65535); ok {
			admin = uint16(n)
		}
	}
	admin = t.freePort(admin)
	if admin != adminPort {
		t.doc.set("admin.address", fmt.Sprintf("127.0.0.1:%d", admin), "")
	}
	web := t.freePort(webPort, admin)
	if web != webPort {
		t.doc.set("http.listen", []record{{{"address", fmt.Sprintf("127.0.0.1:%d", web)}}}, "")
		t.result.Warnings = append(t.result.Warnings, Note{Text: fmt.Sprintf("the pages and signalling are on 127.0.0.1:%d, because port %d is taken", web, webPort)})
	}
}

// freePort returns the first port from port on that is not in taken and has no TURN listener on loopback.
func (t *translation) freePort(port uint16, taken ...uint16) uint16 {
	busy := func(l listener) bool {
		stream := slices.Contains(l.transports, "tcp") || slices.Contains(l.transports, "tls")
		here := !l.addr.IsValid() || l.addr.IsUnspecified() || l.addr.IsLoopback()
		return stream && here && l.port == port
	}
	for port == 0 || slices.Contains(taken, port) || slices.ContainsFunc(t.listening, busy) {
		port++
	}
	return port
}
