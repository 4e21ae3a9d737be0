package main

import (
	"fmt"
	"log/slog"
	"net/http"

	"icebox/config"
	"icebox/signal/gateway"
	"icebox/signal/protocol/peerjs"
	"icebox/signal/protocol/topics"
)

// serveAdapter serves a request of a protocol of others' clients.
type serveAdapter func(http.ResponseWriter, *http.Request, *gateway.Access)

// adapters make the server side of each protocol, when the first listener wants it.
var adapters = map[config.ProtocolName]func(*daemon) (serveAdapter, error){
	config.YWebRTC:  func(d *daemon) (serveAdapter, error) { return d.topics(topics.YWebRTC()) },
	config.Trystero: func(d *daemon) (serveAdapter, error) { return d.topics(topics.Trystero()) },
	config.PeerJS: func(d *daemon) (serveAdapter, error) {
		h, err := peerjs.New(peerjs.Options{Hub: d.hub, Logger: d.signalLog(), Registerer: d.registry})
		return func(w http.ResponseWriter, r *http.Request, door *gateway.Access) { h.Serve(w, r, door) }, err
	},
	config.PocketBase: (*daemon).newPocketBase,
}

// topics serves a protocol that has nothing but topics, which no other protocol shares.
func (d *daemon) topics(dialect topics.Dialect) (serveAdapter, error) {
	h, err := topics.New(dialect, topics.Options{Hub: d.hub, Logger: d.signalLog(), Registerer: d.registry})
	return func(w http.ResponseWriter, r *http.Request, door *gateway.Access) { h.Serve(w, r, door) }, err
}

func (d *daemon) signalLog() *slog.Logger { return d.log.With("component", "signal") }

// mounts are where the protocols of a listener are. A protocol has one adapter, whatever number of listeners speak it.
func (d *daemon) mounts(l config.HTTPListen) ([]gateway.Mount, error) {
	var all []gateway.Mount
	for _, p := range l.Protocols {
		serve, made := d.adapters[p.Protocol]
		if !made {
			make, known := adapters[p.Protocol]
			if !known {
				return nil, fmt.Errorf("protocol %s is not in this build", p.Protocol)
			}
			var err error
			if serve, err = make(d); err != nil {
				return nil, fmt.Errorf("protocol %s: %w", p.Protocol, err)
			}
			d.adapters[p.Protocol] = serve
		}
		m := gateway.Mount{Protocol: string(p.Protocol), Path: p.Base(), Routes: p.Routes(), Serve: serve}
		if p.Protocol == config.PocketBase {
			m.Bearer = d.pocketbase.Bearer
		}
		all = append(all, m)
	}
	return all, nil
}
