package calls

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"icebox/deploy/e2e/netlab"
	"icebox/deploy/e2e/server"
)

// credential is the JSON output of `icebox credential`.
type credential struct {
	ICEServers []struct {
		URLs                 []string
		Username, Credential string
	}
}

// mint runs `icebox credential` on the daemon's host.
func (s *scene) mint() credential {
	s.t.Helper()
	c := s.lab.Command(context.Background(), netlab.VPS, server.Binary(s.t), "credential", "someone", "--json", "--config", s.icebox.Config)
	c.Env = server.Environment()
	out, err := c.Output()
	if err != nil {
		s.t.Fatalf("icebox credential: %v", err)
	}
	var minted credential
	if err := json.Unmarshal(out, &minted); err != nil {
		s.t.Fatalf("icebox credential --json: %v: %s", err, out)
	}
	return minted
}

// gather enters the servers of a credential on the trickle-ICE page and waits for the result. If
// password is not empty, it replaces the credential's.
func (p *phone) gather(minted credential, password string) {
	p.Goto("https://" + name + "/trickle-ice/")
	for _, server := range minted.ICEServers {
		for _, uri := range server.URLs {
			p.Fill("#uri", uri)
			p.Fill("#username", server.Username)
			if password != "" && server.Credential != "" {
				p.Fill("#credential", password)
			} else {
				p.Fill("#credential", server.Credential)
			}
			p.Click("#save")
		}
	}
	p.Click("#gather")
	p.WaitFor("gathering", `return document.querySelector("main").dataset.gathering === "done"`, nil, 2*patience)
}

// TestTrickle gathers candidates on icebox's trickle-ICE page with a credential from the command
// line. Behind a NAT there must be a server-reflexive candidate, and relay candidates over UDP, TCP
// and TLS. With a wrong password the page must say so in words.
func TestTrickle(t *testing.T) {
	t.Parallel()
	s := setUp(t, variant{lab: netlab.Options{NoV6: true}})
	minted := s.mint()
	s.left.gather(minted, "")
	const public = "45.33.1." // left's router
	for kind, want := range map[string][2]string{
		"reflexive":  {`tr[data-type="srflx"]`, public},
		"relay, udp": {`tr[data-type="relay"][data-relay-protocol="udp"]`, netlab.PublicV4.String()},
		"relay, tcp": {`tr[data-type="relay"][data-relay-protocol="tcp"]`, netlab.PublicV4.String()},
		"relay, tls": {`tr[data-type="relay"][data-relay-protocol="tls"]`, netlab.PublicV4.String()},
	} {
		var row string
		s.left.Run(`return document.querySelector("#candidate-rows").querySelector(args)?.innerText ?? ""`, want[0], &row)
		if !strings.Contains(row, want[1]) {
			t.Errorf("%s: the row is %q, want the address %s", kind, row, want[1])
		}
	}

	s.right.gather(minted, "not the password")
	var words string
	s.right.Run(`return document.querySelector("#error-rows").innerText`, nil, &words)
	if !strings.Contains(words, "401") || !strings.Contains(strings.ToLower(words), "password") {
		t.Errorf("with a wrong password the page says %q", words)
	}
}
