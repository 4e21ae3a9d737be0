package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"icebox/cmd/icebox/doctor"
)

// findings returns the output of `icebox doctor --json`.
func findings(t *testing.T, h home) (byCheck map[string][]doctor.Finding, status int) {
	t.Helper()
	got := icebox(t, nil, h.args("doctor", "--json")...)
	var out struct{ Findings []doctor.Finding }
	if err := json.Unmarshal([]byte(got.stdout), &out); err != nil {
		t.Fatalf("%v: %s %s", err, got.stdout, got.stderr)
	}
	byCheck = make(map[string][]doctor.Finding)
	for _, f := range out.Findings {
		byCheck[f.Check] = append(byCheck[f.Check], f)
	}
	return byCheck, got.status
}

// TestDoctorRelays: the doctor relays a packet over each transport.
func TestDoctorRelays(t *testing.T) {
	plain, secure := freePort(t), freePort(t)
	h := newHome(t, fmt.Sprintf(`
tls: self-signed
turn:
  listen: [{address: "127.0.0.1:%d"}, {address: "127.0.0.1:%d", transports: [tls, dtls]}]
http:
  listen: [{address: "127.0.0.1:0"}]
admin: {address: "127.0.0.1:0"}
`, plain, secure))
	if found, status := findings(t, h); status != exitFailure || found["daemon"][0].Level != doctor.Problem || found["relay"][0].Level != doctor.Unknown {
		t.Errorf("before the start: status %d, %+v %+v", status, found["daemon"], found["relay"])
	}
	serve(t, h)
	found, _ := findings(t, h)
	var texts []string
	for _, f := range found["relay"] {
		texts = append(texts, f.Text)
		if f.Level != doctor.OK {
			t.Errorf("%+v", f)
		}
	}
	for i, want := range []string{"udp", "tcp", "tls", "dtls"} {
		if i >= len(texts) || !strings.HasPrefix(texts[i], "TURN over "+want+" at 127.0.0.1:") {
			t.Errorf("no finding about %s in %q", want, texts)
		}
	}
	for _, f := range append(found["daemon"], found["ports"]...) {
		if f.Level == doctor.Problem {
			t.Errorf("%+v", f)
		}
	}
}

func TestDoctorOfABadConfiguration(t *testing.T) {
	h := newHome(t, "turn: {relm: a}\n")
	if found, status := findings(t, h); status != exitFailure || len(found) != 1 || !strings.Contains(found["config"][0].Text, "did you mean realm?") {
		t.Errorf("status %d, %+v", status, found)
	}
	got := icebox(t, nil, h.args("doctor")...)
	if !strings.Contains(got.stdout, "problem  config: ") || !strings.Contains(got.stdout, "         fix: ") || got.stderr != "icebox: 1 problem, 0 warnings\n" {
		t.Errorf("%s%s", got.stdout, got.stderr)
	}
}
