package daemon

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"

	"icebox/config"
	"icebox/signal/gateway"
	"icebox/signal/protocol/classic"
	"icebox/signal/protocol/native"
	"icebox/signal/protocol/peerjs"
	"icebox/signal/protocol/pocketbase"
	"icebox/signal/protocol/topics"
)

// protocol is the server side of a signalling protocol that listeners turn on. Listeners share it.
type protocol struct {
	scheme string // of the URL of its clients, without TLS
	serve  func(http.ResponseWriter, *http.Request, *gateway.Access)
	// bearer is [gateway.Mount.Bearer], or nil if the protocol has no tokens.
	bearer func(token string) (user string, ok bool)
	// prepare checks the protocol's part of a new configuration and returns the func that puts it in force. It is nil if the
	// protocol has nothing to reload.
	prepare func(*config.Config) (set func(), err error)
}

// constructors make each protocol when the first listener turns it on.
var constructors = map[config.ProtocolName]func(*Daemon) (*protocol, error){
	config.YWebRTC:    func(d *Daemon) (*protocol, error) { return d.newTopics(topics.YWebRTC()) },
	config.Trystero:   func(d *Daemon) (*protocol, error) { return d.newTopics(topics.Trystero()) },
	config.PeerJS:     (*Daemon).newPeerJS,
	config.PocketBase: (*Daemon).newPocketBase,
}

func (d *Daemon) newTopics(dialect topics.Dialect) (*protocol, error) {
	h, err := topics.New(dialect, topics.Options{Hub: d.hub, Logger: d.signalLog(), Registerer: d.registry})
	serve := func(w http.ResponseWriter, r *http.Request, a *gateway.Access) { h.Serve(w, r, a) }
	return &protocol{scheme: "ws", serve: serve}, err
}

func (d *Daemon) newPeerJS() (*protocol, error) {
	h, err := peerjs.New(peerjs.Options{Hub: d.hub, Logger: d.signalLog(), Registerer: d.registry})
	serve := func(w http.ResponseWriter, r *http.Request, a *gateway.Access) { h.Serve(w, r, a) }
	return &protocol{scheme: "http", serve: serve}, err
}

func (d *Daemon) newPocketBase() (*protocol, error) {
	secret, err := d.deriveSecret(pocketbase.Protocol)
	if err != nil {
		return nil, err
	}
	h, err := pocketbase.New(pocketbase.Options{
		Hub:    d.hub,
		Secret: secret,
		STUN: func(host string) []string {
			stun, _ := d.catalogue.URIs(host, false)
			return stun
		},
		Logger:     d.signalLog(),
		Registerer: d.registry,
	}, pocketBaseAccounts(d.cfg()))
	if err != nil {
		return nil, err
	}
	return &protocol{
		scheme:  "http",
		serve:   func(w http.ResponseWriter, r *http.Request, a *gateway.Access) { h.Serve(w, r, a) },
		bearer:  h.Bearer,
		prepare: func(next *config.Config) (func(), error) { return h.PrepareAccounts(pocketBaseAccounts(next)) },
	}, nil
}

func pocketBaseAccounts(cfg *config.Config) pocketbase.Accounts {
	p := cfg.Signal.PocketBase
	a := pocketbase.Accounts{Anyone: p.Anyone}
	for _, u := range p.Users {
		a.Users = append(a.Users, pocketbase.User{Identity: u.Identity, Password: u.Password.Reveal()})
	}
	return a
}

// startNative makes the native protocol, which every listener serves.
func (d *Daemon) startNative() (*native.Handler, error) {
	secret, err := d.deriveSecret("calls")
	if err != nil {
		return nil, err
	}
	return native.New(native.Options{
		Hub: d.hub, ICE: d.gate.SignInICE, Secret: secret, Authorize: d.gate.AuthorizeHello, Logger: d.signalLog(), Registerer: d.registry,
	})
}

// deriveSecret returns a secret for one purpose. It stays the same across restarts.
func (d *Daemon) deriveSecret(purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, d.secret, nil, purpose, sha256.Size)
}

func (d *Daemon) signalLog() *slog.Logger { return d.log.With("component", "signal") }

// protocol returns the protocol called name. It makes the protocol when the first listener turns it on.
func (d *Daemon) protocol(name config.ProtocolName) (*protocol, error) {
	if p, ok := d.protocols[name]; ok {
		return p, nil
	}
	construct, known := constructors[name]
	if !known {
		return nil, fmt.Errorf("protocol %s is not in this build", name)
	}
	p, err := construct(d)
	if err != nil {
		return nil, fmt.Errorf("protocol %s: %w", name, err)
	}
	d.protocols[name] = p
	return p, nil
}

// mounts returns the mounts of a listener. The protocols that it turns on come before those that every listener serves.
func (d *Daemon) mounts(l config.HTTPListen, n *native.Handler) ([]gateway.Mount, error) {
	var all []gateway.Mount
	for _, m := range l.Protocols {
		p, err := d.protocol(m.Protocol)
		if err != nil {
			return nil, err
		}
		all = append(all, gateway.Mount{Route: string(m.Protocol), Path: m.Base(), Routes: m.Routes(), Serve: p.serve, Bearer: p.bearer})
	}
	c := classic.New(d.hub, d.gate.SignInICE, d.signalLog(), classic.Options(l.Classic))
	return append(all,
		gateway.Mount{
			Route: "websocket", Match: func(r *http.Request) bool { return gateway.WebSocketPath(r) && native.Offered(r) },
			Serve: func(w http.ResponseWriter, r *http.Request, a *gateway.Access) { n.ServeWebSocket(w, r, a) },
		},
		gateway.Mount{
			Route: "websocket", Match: gateway.WebSocketPath,
			Serve: func(w http.ResponseWriter, r *http.Request, a *gateway.Access) { c.Serve(w, r, a) },
		},
		gateway.Mount{
			Route: "session", Match: native.IsEventsPath,
			Serve: func(w http.ResponseWriter, r *http.Request, a *gateway.Access) { n.ServeEvents(w, r, a) },
		},
	), nil
}
