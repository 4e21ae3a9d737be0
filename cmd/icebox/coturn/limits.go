package coturn

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// limits translates quotas and bandwidths; 0 is no limit in coturn.
func (t *translation) limits() {
	if n, ok := t.quota("user-quota"); ok && n > 0 {
		t.doc.set("turn.limits.allocations_per_user", n, "")
	} else if len(t.all("user")) > 0 && !t.usesSecret() {
		t.doc.set("turn.limits.allocations_per_user", 1<<14, "The file has no user-quota, and all who share a user share its quota.")
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

// size is n bytes as the configuration takes them.
func size(n int64) any {
	if n <= math.MaxInt32 {
		return n
	}
	return fmt.Sprintf("%dMiB", n>>20)
}

// logging translates how much is told.
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
			t.refuse(l, "want debug, info, warning or error")
		}
	}
	if level != "" {
		t.doc.set("log.level", level, "")
	}
}

// Ports of loopback that the default configuration has.
const (
	adminPort = 9641
	webPort   = 8080
)

// loopback places what icebox has and coturn hasn't, or has elsewhere, where no
// TURN listener is.
func (t *translation) loopback() {
	admin := uint16(adminPort)
	if l, ok := t.last("prometheus-port"); ok {
		if n, ok := t.number(l, 1, 65535); ok {
			admin = uint16(n)
		}
	}
	admin = t.free(admin)
	if admin != adminPort {
		t.doc.set("admin.address", fmt.Sprintf("127.0.0.1:%d", admin), "")
	}
	web := t.free(webPort, admin)
	if web != webPort {
		t.doc.set("http.listen", []record{{{"address", fmt.Sprintf("127.0.0.1:%d", web)}}}, "")
		t.result.Warnings = append(t.result.Warnings, Note{Text: fmt.Sprintf("the pages and signalling are on 127.0.0.1:%d, since %d is taken", web, webPort)})
	}
}

// free is the first port from port on that neither a TURN listener nor taken has on
// loopback.
func (t *translation) free(port uint16, taken ...uint16) uint16 {
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
