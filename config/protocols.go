package config

import (
	"fmt"
	"regexp"
	"strings"
)

// ProtocolName is a signalling protocol of others' clients.
type ProtocolName string

// The protocols beside icebox's own and the classic one.
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

// Protocol is one that a listener speaks beside its own. After Load, Path is set: the path that its clients are given, with no slash at
// its end unless it is /.
type Protocol struct {
	Protocol ProtocolName `yaml:"protocol"`
	Path     string       `yaml:"path,omitempty"`
}

// UnmarshalText accepts the protocol alone, which is then at its usual path.
func (p *Protocol) UnmarshalText(b []byte) error { return p.Protocol.UnmarshalText(b) }

// usualPath is where a protocol is when nobody says.
var usualPath = map[ProtocolName]string{
	PeerJS:     "/peerjs",
	PocketBase: "/", // its SDK appends /api/
	YWebRTC:    "/y-webrtc",
	Trystero:   "/trystero",
}

// below are the paths that a protocol has below its own, where it doesn't have everything.
var below = map[ProtocolName][]string{
	PocketBase: {"/api/collections", "/api/realtime"},
}

// Base is Path without a slash at its end.
func (p Protocol) Base() string { return strings.TrimSuffix(p.Path, "/") }

// Routes are the paths that requests of the protocol go to: these, and everything below them.
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

// ownRoutes are what icebox serves itself, on every listener that serves anything.
var ownRoutes = []string{
	"/ws", "/v1", "/ice", "/turn", "/api/turn", "/_matrix", "/2010-04-01", "/assets", "/examples", "/sdk", "/trickle-ice",
}

// plainPath matches a path that means the same to every client and proxy.
var plainPath = regexp.MustCompile(`^/$|^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$`)

// protocols gives each its path and checks that nobody else is there.
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
			c.fail(at, "want a path such as %s, of letters, digits and -._~, got %q", "/app/"+string(p.Protocol), p.Path)
			continue
		}
		c.routes(at, *p, taken)
		for _, route := range p.Routes() {
			taken = append(taken, taker{route, path})
		}
	}
}

// taker is who has a route.
type taker struct{ route, owner string }

// routes reports the first route of a protocol that is somebody else's.
func (c *checker) routes(at string, p Protocol, taken []taker) {
	for _, route := range p.Routes() {
		if route == "" {
			c.fail(at, "%s takes everything below its path: give it one of its own, such as %s", p.Protocol, usualPath[p.Protocol])
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

// within reports whether a path is another one or below it.
func within(path, other string) bool { return path == other || strings.HasPrefix(path, other+"/") }
