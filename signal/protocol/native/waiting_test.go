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
)

// waiting is what the hub counts as waiting for its clients, in bytes.
func waiting(t *testing.T, reg prometheus.Gatherer) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "icebox_signal_waiting_bytes" {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatal("nobody counts what waits")
	return 0
}

// TestWhatWaitsForTheAwayIsLimited: an address whose clients are away can't have more kept for it than its share. Some of their
// sessions end, which the sender hears; who comes back either has every message or is told to begin anew.
func TestWhatWaitsForTheAwayIsLimited(t *testing.T) {
	const (
		most    = 1 << 20
		clients = 8
		rounds  = 12
	)
	reg := prometheus.NewRegistry()
	s := start(t, func(o *setup) {
		o.hub.Registerer = reg
		o.limits.MessagesPerSecond, o.limits.MessageBurst = 1e6, 1e6
		o.limits.MaxMessage, o.limits.QueueBytes, o.limits.ResumeBytes, o.limits.WaitingPerAddr = 64<<10, 256<<10, 512<<10, most
	})
	secrets := make(map[string]string)
	for i := range clients {
		r, name := s.raw("/ws"), fmt.Sprint("away", i)
		r.send(`{"type":"hello","v":1,"name":"` + name + `"}`)
		secrets[name] = r.receive()["resume"].(string)
		r.send(`{"type":"ping"}`) // who has said nothing yet is not waited for
		r.receive()
		if err := r.ws.NetConn().Close(); err != nil {
			t.Fatal(err)
		}
	}
	bo := s.dial("bo")
	data := json.RawMessage(`"` + strings.Repeat("x", 30<<10) + `"`)
	sent, over := make(map[string]int), make(map[string]bool)
	for range rounds {
		for name := range secrets {
			_, err := bo.Do(within(t), wire.Request{Type: wire.Send, To: name, Kind: "n", Data: data})
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
			if n := waiting(t, reg); n > most {
				t.Fatalf("%.0f bytes wait for one address, which may have %d", n, most)
			}
		}
	}
	resumed := 0
	for name, secret := range secrets {
		r := s.raw("/ws")
		r.send(`{"type":"hello","v":1,"resume":"` + secret + `","seq":0}`)
		m := r.receive()
		if m["code"] == "resync" { // both sides know
			_, err := bo.Do(within(t), wire.Request{Type: wire.Send, To: name, Kind: "n", Data: json.RawMessage(`1`)})
			var refused *client.Error
			if !errors.As(err, &refused) || refused.Code != signal.ErrPeerOffline.Code {
				t.Errorf("%s: to a session that is over: %v", name, err)
			}
			continue
		}
		if m["type"] != "resumed" || over[name] {
			t.Fatalf("%s: %v", name, m)
		}
		resumed++
		for i := range sent[name] {
			if m := r.receive(); m["type"] != wire.Delivery {
				t.Fatalf("%s: message %d of %d: %v", name, i, sent[name], m)
			}
		}
	}
	if resumed == 0 || resumed == clients {
		t.Errorf("%d of %d sessions were resumed", resumed, clients)
	}
	if err := s.hub.Shutdown(within(t)); err != nil {
		t.Fatal(err)
	}
	if n := waiting(t, reg); n != 0 {
		t.Errorf("%.0f bytes wait for nobody", n)
	}
}
