package main

import (
	"crypto/hkdf"
	"crypto/sha256"
	"net/http"

	"icebox/config"
	"icebox/signal/gateway"
	"icebox/signal/protocol/pocketbase"
)

// newPocketBase makes the server side of PocketBase's SDK.
func (d *daemon) newPocketBase() (serveAdapter, error) {
	secret, err := hkdf.Key(sha256.New, d.secret, nil, pocketbase.Protocol, sha256.Size)
	if err != nil {
		return nil, err
	}
	h, err := pocketbase.New(pocketbase.Options{
		Hub:    d.hub,
		Secret: secret,
		STUN: func(host string) []string {
			stun, _ := d.catalogue.uris(host, false)
			return stun
		},
		Logger:     d.signalLog(),
		Registerer: d.registry,
	}, pocketBaseAccounts(d.cfg()))
	if err != nil {
		return nil, err
	}
	d.pocketbase = h
	return func(w http.ResponseWriter, r *http.Request, door *gateway.Access) { h.Serve(w, r, door) }, nil
}

func pocketBaseAccounts(cfg *config.Config) pocketbase.Accounts {
	p := cfg.Signal.PocketBase
	a := pocketbase.Accounts{Anyone: p.Anyone}
	for _, u := range p.Users {
		a.Users = append(a.Users, pocketbase.User{Identity: u.Identity, Password: u.Password.Reveal()})
	}
	return a
}
