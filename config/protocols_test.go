package config

import (
	"slices"
	"testing"
)

func TestProtocolsHaveTheirPaths(t *testing.T) {
	c, err := Load(Source{Env: []string{
		"ICEBOX_SIGNAL_POCKETBASE_ANYONE=true",
		`ICEBOX_HTTP_LISTEN=[{address: ":8080", protocols: [peerjs, pocketbase, y-webrtc, trystero, {protocol: peerjs, path: /other}, {protocol: pocketbase, path: /pb/v2}]}]`,
	}})
	if err != nil {
		t.Fatal(err)
	}
	var paths, routes []string
	for _, p := range c.HTTP.Listen[0].Protocols {
		paths = append(paths, p.Path)
		routes = append(routes, p.Routes()...)
	}
	if want := []string{"/peerjs", "/", "/y-webrtc", "/trystero", "/other", "/pb/v2"}; !slices.Equal(paths, want) {
		t.Errorf("paths %q, want %q", paths, want)
	}
	want := []string{
		"/peerjs", "/api/collections", "/api/realtime", "/y-webrtc", "/trystero", "/other", "/pb/v2/api/collections", "/pb/v2/api/realtime",
	}
	if !slices.Equal(routes, want) {
		t.Errorf("routes %q, want %q", routes, want)
	}
}
