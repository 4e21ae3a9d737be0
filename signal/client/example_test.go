package client_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http/httptest"

	"icebox/signal"
	"icebox/signal/client"
	"icebox/signal/gateway"
	"icebox/signal/protocol/native/wire"
	"icebox/signal/signaltest/stack"
)

// Two clients meet in a call. The first creates it and sends an offer, which the server stores until the second joins.
func Example() {
	url, stop := runServer()
	defer stop()
	ctx := context.Background()

	alice, err := client.Dial(ctx, client.Options{URL: url, Name: "alice"})
	if err != nil {
		log.Fatal(err)
	}
	defer alice.Close()
	call, err := alice.Do(ctx, wire.Request{Type: wire.Create})
	if err != nil {
		log.Fatal(err)
	}
	offer := json.RawMessage(`{"type":"offer","sdp":"v=0"}`)
	_, err = alice.Do(ctx, wire.Request{Type: wire.Send, Call: call.Call, Kind: wire.KindOffer, Data: offer})
	if err != nil {
		log.Fatal(err)
	}

	bob, err := client.Dial(ctx, client.Options{URL: url, Name: "bob"})
	if err != nil {
		log.Fatal(err)
	}
	defer bob.Close()
	if _, err := bob.Do(ctx, wire.Request{Type: wire.Join, Call: call.Call}); err != nil {
		log.Fatal(err)
	}
	for m := range bob.Events() {
		if m.Type == wire.Delivery {
			fmt.Printf("%s sends bob an %s: %s\n", m.FromName, m.Kind, m.Data)
			break
		}
	}
	// Output: alice sends bob an offer: {"type":"offer","sdp":"v=0"}
}

// runServer runs the signalling part of the daemon.
func runServer() (url string, stop func()) {
	limits := signal.DefaultLimits()
	hub, err := signal.New(signal.Options{}, limits)
	if err != nil {
		log.Fatal(err)
	}
	gate, err := gateway.New(gateway.Options{Hub: hub}, limits)
	if err != nil {
		log.Fatal(err)
	}
	handler, err := stack.Listener(gate, hub, gateway.Listener{Loopback: true})
	if err != nil {
		log.Fatal(err)
	}
	web := httptest.NewServer(handler)
	return web.URL, func() {
		_ = hub.Shutdown(context.Background())
		web.Close()
	}
}
