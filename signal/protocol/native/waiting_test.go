package native_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"icebox/signal"
	"icebox/signal/client"
	"icebox/signal/protocol/native/wire"
	"icebox/signal/signaltest"
)

// waiting returns how many bytes wait for clients, by the hub's metric.
func waiting(t *testing.T, reg prometheus.Gatherer) float64 {
	t.Helper()
	return signaltest.Metric(t, reg, "icebox_signal_waiting_bytes", "", "")
}

// The messages that are kept for the disconnected clients of one address are limited. When the limit is reached, messages
// are refused and some of the sessions end, and the sender learns that. A client that returns either resumes with every
// message or is told to sign in again.
func TestKeptMessagesOfOneAddressAreLimited(t *testing.T) {
	const (
		maxWaiting = 1 << 20
		clients    = 8
		rounds     = 12
	)
	reg := prometheus.NewRegistry()
	s := start(t, func(o *setup) {
		o.hub.Registerer = reg
		o.limits.MessagesPerSecond, o.limits.MessageBurst = 1e6, 1e6
		o.limits.MaxMessage, o.limits.QueueBytes, o.limits.ResumeBytes, o.limits.WaitingPerAddr = 64<<10, 256<<10, 512<<10, maxWaiting
	})
	secrets := make(map[string]string)
	for i := range clients {
		r, name := s.raw("/ws"), fmt.Sprint("away", i)
		r.Send(`{"type":"hello","v":1,"name":"` + name + `"}`)
		secrets[name] = r.receive()["resume"].(string)
		r.Send(`{"type":"ping"}`) // otherwise the session would not be kept
		r.receive()
		if err := r.NetConn().Close(); err != nil {
			t.Fatal(err)
		}
	}
	bo := s.dial("bo")
	data := json.RawMessage(`"` + strings.Repeat("x", 30<<10) + `"`)
	sent, over := make(map[string]int), make(map[string]bool)
	for range rounds {
		for name := range secrets {
			_, err := bo.Do(signaltest.Within(t), wire.Request{Type: wire.Send, To: name, Kind: "n", Data: data})
			var refused *client.Error
			switch {
			case err == nil && !over[name]:
				sent[name]++
			case errors.As(err, &refused) && refused.Code == signal.ErrPeerBusy.Code:
			case errors.As(err, &refused) && refused.Code == signal.ErrPeerOffline.Code:
				over[name] = true
			default:
				t.Fatalf("%s: %v", name, err)
			}
			if n := waiting(t, reg); n > maxWaiting {
				t.Fatalf("%.0f bytes wait for one address, want at most %d", n, maxWaiting)
			}
		}
	}
	resumed := 0
	for name, secret := range secrets {
		r := s.raw("/ws")
		r.Send(`{"type":"hello","v":1,"resume":"` + secret + `","seq":0}`)
		m := r.receive()
		if m["code"] == "resync" { // the sender must also learn that the session has ended
			_, err := bo.Do(signaltest.Within(t), wire.Request{Type: wire.Send, To: name, Kind: "n", Data: json.RawMessage(`1`)})
			var refused *client.Error
			if !errors.As(err, &refused) || refused.Code != signal.ErrPeerOffline.Code {
				t.Errorf("%s: sending to a session that has ended: got %v, want %v", name, err, signal.ErrPeerOffline)
			}
			continue
		}
		if m["type"] != "resumed" || over[name] {
			t.Fatalf("%s: resuming got %v; the sender had learned that the session ended: %v", name, m, over[name])
		}
		resumed++
		for i := range sent[name] {
			if m := r.receive(); m["type"] != wire.Delivery {
				t.Fatalf("%s: message %d of %d: %v", name, i, sent[name], m)
			}
		}
	}
	if resumed == 0 || resumed == clients {
		t.Errorf("%d of %d sessions were resumed, want some but not all", resumed, clients)
	}
	if err := s.hub.Shutdown(signaltest.Within(t)); err != nil {
		t.Fatal(err)
	}
	if n := waiting(t, reg); n != 0 {
		t.Errorf("%.0f bytes wait after the shutdown, want 0", n)
	}
}
