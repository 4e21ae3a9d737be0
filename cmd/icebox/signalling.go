package main

import (
	"context"
	"net/http"
)

// signalling is the hub and a handler for every HTTP listener.
type signalling struct {
	handlers []http.Handler
}

func (d *daemon) startSignalling() error {
	d.hub = &signalling{}
	for range d.cfg.HTTP.Listen {
		d.hub.handlers = append(d.hub.handlers, http.NotFoundHandler())
	}
	return nil
}

func (s *signalling) shutdown(context.Context) error { return nil }
