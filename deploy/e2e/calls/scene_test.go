package calls

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"icebox/deploy/e2e/browser"
	"icebox/deploy/e2e/netlab"
	"icebox/deploy/e2e/pki"
	"icebox/deploy/e2e/server"
)

// variant is a network and a configuration.
type variant struct {
	lab         netlab.Options
	config      string // in addition to public_host and tls; without an http section, the daemon listens on 443 with TLS
	nginx       bool   // Debian's Nginx listens on 443, with the shipped site
	noWebSocket bool   // and does not forward WebSockets
	relay       string // name for TURN on Nginx's port 443
}

// scene is a running variant: a lab, a daemon on vps, and a browser in each home.
type scene struct {
	t           *testing.T
	lab         *netlab.Lab
	icebox      *server.Icebox
	options     server.IceboxOptions
	left, right *phone
}

func setUp(t *testing.T, v variant) *scene {
	t.Helper()
	v.lab.Name, v.lab.Also = name, v.relay
	s := &scene{t: t, lab: netlab.New(t, v.lab)}
	files := pki.Make(t, name, "relay."+name)
	var browsers sync.WaitGroup
	for host, p := range map[string]**phone{netlab.Left: &s.left, netlab.Right: &s.right} {
		browsers.Go(func() { *p = newPhone(t, s.lab, host, files) })
	}
	config := fmt.Sprintf("public_host: %s\ntls: {certificate: %s, key: %s}\n%s\n", name, files.Cert, files.Key, v.config)
	if !v.nginx && !strings.Contains(config, "\nhttp:") {
		config += "http: {listen: [{address: \":443\", tls: true}]}\n"
	}
	vps := s.lab.Host(netlab.VPS)
	s.options = server.IceboxOptions{Host: vps, Config: config, Admin: "127.0.0.1:9641", StateDir: filepath.Join(t.TempDir(), "state")}
	s.icebox = server.StartIcebox(t, s.options)
	if v.nginx {
		server.StartNginx(t, server.NginxOptions{Host: vps, Name: name, Files: files, Relay: v.relay, NoWebSocket: v.noWebSocket})
	}
	browsers.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return s
}

// phone is one browser, used by one person.
type phone struct {
	*browser.Browser
	name string
}

func newPhone(t *testing.T, lab *netlab.Lab, host string, files pki.Files) *phone {
	command := func(ctx context.Context, argv ...string) *exec.Cmd { return lab.Command(ctx, host, argv...) }
	return &phone{browser.Start(t, browser.Options{Name: host, CA: files.CA, Command: command}), host}
}

// signIn opens the call page and signs in with the phone's name.
func (p *phone) signIn(query string) {
	p.Goto("https://" + name + "/" + query)
	p.Fill("#name", p.name)
	p.Click("#sign-in-button")
	p.WaitFor("sign-in", `return document.querySelector("main").dataset.presence === "in"`, nil, patience)
}

// signIn signs both sides in.
func (s *scene) signIn(query string) {
	s.t.Helper()
	s.left.signIn(query)
	s.right.signIn(query)
}

// ring calls from the left and accepts on the right.
func (s *scene) ring() {
	s.t.Helper()
	s.left.Fill("#callee", s.right.name)
	s.left.Click("#call")
	s.right.Click("#accept")
}
