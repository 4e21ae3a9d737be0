package hubload

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"icebox/signal"
	"icebox/signal/gateway"
	"icebox/signal/signaltest/stack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a signalling server in this process.
func serve(t *testing.T, secure bool, change ...func(*signal.Limits)) Options {
	t.Helper()
	l := signal.DefaultLimits()
	l.MessagesPerSecond, l.MessageBurst, l.MintsPerAddr, l.MintsTotal = 1e6, 1e6, 0, 0
	for _, f := range change {
		f(&l)
	}
	hub, err := signal.New(signal.Options{}, l)
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(gateway.Options{Hub: hub}, l)
	if err != nil {
		t.Fatal(err)
	}
	handler, err := stack.Listener(g, hub, gateway.Listener{Loopback: true, TLS: secure})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewUnstartedServer(handler)
	web.Config.ErrorLog = nil
	if web.Start(); secure {
		web.Close()
		web = httptest.NewTLSServer(web.Config.Handler)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), replyTimeout)
		defer cancel()
		if err := hub.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		web.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	at := netip.MustParseAddrPort(web.Listener.Addr().String())
	return Options{Server: at, TLS: secure, Path: "/ws", Window: 4}
}

func TestLoad(t *testing.T) {
	for name, c := range map[string]struct {
		protocol Protocol
		secure   bool
	}{"classic": {Classic, false}, "native": {Native, false}, "TLS": {Native, true}} {
		t.Run(name, func(t *testing.T) {
			o := serve(t, c.secure)
			o.Protocol = c.protocol
			load, err := New(o)
			if err != nil {
				t.Fatal(err)
			}
			defer load.Close()
			if err := load.Grow(t.Context(), 7); err != nil || load.Clients() != 7 {
				t.Fatalf("%d clients, %v", load.Clients(), err)
			}
			for _, e := range []Exchange{{Candidate, 200, 1000}, {Offer, 4096, 300}, {Candidate, MinSize, 300}} {
				r, err := load.Run(t.Context(), e, 200*time.Millisecond)
				if err != nil {
					t.Fatal(err)
				}
				if r.Sent == 0 || r.Received != r.Sent || r.Latency.Count() != r.Sent || r.Failed > 0 {
					t.Errorf("%v: %d of %d arrived, %d with a latency, failure: %v", e, r.Received, r.Sent, r.Latency.Count(), r.Failure)
				}
			}
		})
	}
}

func TestSignIns(t *testing.T) {
	for _, p := range []Protocol{Classic, Native} {
		o := serve(t, false)
		o.Protocol = p
		v, err := NewSignIns(o, 200)
		if err != nil {
			t.Fatal(err)
		}
		r, err := v.Run(t.Context(), 200*time.Millisecond)
		if err != nil || r.Failed > 0 || r.Received == 0 || r.Received != r.Sent || v.Progress() != r.Sent {
			t.Errorf("%s: %d of %d signed in, %d failed, error: %v", p, r.Received, r.Sent, r.Failed, err)
		}
	}
}

func TestRefusalsAreReported(t *testing.T) {
	o := serve(t, false, func(l *signal.Limits) { l.ConnsTotal = 2 })
	o.Protocol = Classic
	load, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer load.Close()
	if err := load.Grow(t.Context(), 5); err == nil || !strings.Contains(err.Error(), "only 2 of 5") || !strings.Contains(err.Error(), "503") {
		t.Errorf("Grow: %v", err)
	}
	o.Path = "/nowhere"
	v, err := NewSignIns(o, 100)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Run(t.Context(), 20*time.Millisecond); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("Run: %v", err)
	}
}

func TestBadOptions(t *testing.T) {
	good := Options{Server: netip.MustParseAddrPort("127.0.0.1:1"), Protocol: Classic, Window: 1}
	for want, change := range map[string]func(*Options){
		"server":   func(o *Options) { o.Server = netip.AddrPort{} },
		"protocol": func(o *Options) { o.Protocol = "x" },
		"window":   func(o *Options) { o.Window = 0 },
	} {
		o := good
		change(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	for _, e := range []Exchange{{Candidate, 10, 1}, {Candidate, 100, 0}, {Offer, MaxSize + 1, 1}} {
		if e.Validate() == nil {
			t.Errorf("Validate accepts %+v", e)
		}
	}
}

func TestPayloads(t *testing.T) {
	for _, kind := range []Kind{Candidate, Offer} {
		for _, size := range []int{MinSize, 200, 999, 4096} {
			text, timestamp := payload(kind, size)
			putTimestamp(text[timestamp:], 0x1234)
			var got map[string]string
			if err := json.Unmarshal(text, &got); err != nil || len(text) != size || got["sent"] != "0000000000001234" {
				t.Errorf("a %s of %d bytes has %d: %s, %v", kind, size, len(text), text, err)
			}
			if n, err := readTimestamp(text); err != nil || n != 0x1234 {
				t.Errorf("readTimestamp returned %x, %v", n, err)
			}
		}
	}
	if _, err := readTimestamp([]byte(`{"sent":"12`)); err == nil {
		t.Error("readTimestamp accepts an incomplete timestamp")
	}
	if sequenceNumber([]byte(`{"seq":42,"type"`)) != 42 || sequenceNumber([]byte(`{"type"`)) != 0 {
		t.Error("sequenceNumber returned a wrong number")
	}
	if b := (native{}).appendMessage(nil, "offer", &client{peer: &client{name: "x"}}, []byte("{}")); !json.Valid(b) || !bytes.Contains(b, []byte(`"seq":1`)) {
		t.Errorf("the native message is %s", b)
	}
}
