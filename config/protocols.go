package config

import (
	"fmt"
	"regexp"
	"strings"
)

// ProtocolName names a signalling protocol of another project's clients.
type ProtocolName string

// The protocols besides icebox's own and the classic one.
const (
	PeerJS     ProtocolName = "peerjs"
	PocketBase ProtocolName = "pocketbase"
	YWebRTC    ProtocolName = "y-webrtc"
	Trystero   ProtocolName = "trystero"
)

// UnmarshalText accepts peerjs, pocketbase, y-webrtc and trystero.
func (p *ProtocolName) UnmarshalText(b []byte) error {
	return oneOf(p, b, PeerJS, PocketBase, YWebRTC, Trystero)
}

// Protocol is a protocol that a listener speaks besides icebox's own. Load sets Path to the path that the operator
// gives to clients. It does not end with a slash unless it is /.
type Protocol struct {
	Protocol ProtocolName `yaml:"protocol" about:"peerjs, pocketbase, y-webrtc or trystero."`
	Path     string       `yaml:"path,omitempty" about:"Path that its clients are given. When unset, the protocol's usual path."`
}

// UnmarshalText accepts the name alone, which puts the protocol at its usual
// path.
func (p *Protocol) UnmarshalText(b []byte) error { return p.Protocol.UnmarshalText(b) }

// usualPath has the path of each protocol when the configuration names none.
var usualPath = map[ProtocolName]string{
	PeerJS:     "/peerjs",
	PocketBase: "/", // its SDK appends /api/
	YWebRTC:    "/y-webrtc",
	Trystero:   "/trystero",
}

// below has the paths that a protocol needs below its own path. A protocol that is not in the map needs all of them.
var below = map[ProtocolName][]string{
	PocketBase: {"/api/collections", "/api/realtime"},
}

// Base returns Path without a slash at its end.
func (p Protocol) Base() string { return strings.TrimSuffix(p.Path, "/") }

// Routes returns the paths that the protocol serves. It serves everything below
// them as well.
func (p Protocol) Routes() []string {
	if len(below[p.Protocol]) == 0 {
		return []string{p.Base()}
	}
	var routes []string
	for _, route := range below[p.Protocol] {
		routes = append(routes, p.Base()+route)
	}
	return routes
}

// ownRoutes are the paths that icebox itself serves, on every listener except
// those that only redirect.
var ownRoutes = []string{
	"/ws", "/v1", "/ice", "/turn", "/api/turn", "/_matrix", "/2010-04-01", "/assets", "/examples", "/sdk", "/trickle-ice",
}

// plainPath matches a path that every client and every proxy interprets in the same way.
var plainPath = regexp.MustCompile(`^/$|^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$`)

// protocols sets the path of each protocol and checks that nothing else serves it.
func (c *checker) protocols(listen string, all []Protocol) {
	taken := make([]taker, 0, len(ownRoutes)+len(all))
	for _, route := range ownRoutes {
		taken = append(taken, taker{route, "icebox itself"})
	}
	for i := range all {
		p := &all[i]
		path := fmt.Sprintf("%s.protocols[%d]", listen, i)
		c.required(path, "protocol")
		at := join(path, "path")
		switch {
		case p.Protocol == "":
			continue
		case p.Path == "" && !c.has(at):
			p.Path = usualPath[p.Protocol]
			at = path
		case !plainPath.MatchString(p.Path):
			c.fail(at, "want a path of letters, digits and -._~ such as %s, got %q", "/app/"+string(p.Protocol), p.Path)
			continue
		}
		c.routes(at, *p, taken)
		for _, route := range p.Routes() {
			taken = append(taken, taker{route, path})
		}
	}
}

// taker is a route and the name of its owner: a part of the configuration, or icebox itself.
type taker struct{ route, owner string }

// routes reports the first route of a protocol that something else serves.
func (c *checker) routes(at string, p Protocol, taken []taker) {
	for _, route := range p.Routes() {
		if route == "" {
			c.fail(at, "%s serves everything below its path: give it a path of its own, such as %s", p.Protocol, usualPath[p.Protocol])
			return
		}
		for _, t := range taken {
			if within(route, t.route) || within(t.route, route) {
				c.fail(at, "%s is taken by %s, %s", route, t.owner, t.route)
				return
			}
		}
	}
}

// within reports whether path equals other or is below it.
func within(path, other string) bool { return path == other || strings.HasPrefix(path, other+"/") }
