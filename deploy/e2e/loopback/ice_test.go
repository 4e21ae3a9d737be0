package loopback

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"icebox/deploy/e2e/server"
)

// TestTwilioClient lets Twilio's npm client ask for ICE servers, and relays with the credential
// that it gets.
func TestTwilioClient(t *testing.T) {
	t.Parallel()
	const key, account = "the key of an application", "AC00112233445566778899aabbccddeeff"
	b := startBox(t, server.FreePorts(t), server.FreePort(t), "signal: {keys: [{name: app, key: "+key+"}]}")
	script := filepath.Join(server.Root(), "deploy", "e2e", "loopback", "twilio.mjs")
	out, err := exec.Command("node", script, fmt.Sprintf("http://127.0.0.1:%d", b.WS), key, account).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var got struct {
		AccountSid, TTL, Username, Password string
		IceServers                          []struct{ URL, URLs, Username, Credential string }
		DateCreated                         time.Time
		Refusal                             struct {
			Status, Code int
			Message      string
		}
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got.AccountSid != account || got.TTL != "600" || time.Since(got.DateCreated).Abs() > time.Minute {
		t.Errorf("token %s", out)
	}
	if got.Refusal.Status != 401 || got.Refusal.Code != 20003 || got.Refusal.Message == "" {
		t.Errorf("the error for a wrong password is %+v", got.Refusal)
	}
	relays := 0
	for _, s := range got.IceServers {
		if strings.HasPrefix(s.URLs, "turn:") && s.URL == s.URLs && s.Username == got.Username && s.Credential == got.Password {
			relays++
		}
	}
	if relays != 2 {
		t.Errorf("%d turn servers in %s, want 2", relays, out)
	}
	uclient(t, 5, join(echo(t), []string{"-X", "-n", "5", "-u", got.Username, "-w", got.Password, "-p", strconv.Itoa(b.Plain), "127.0.0.1"})...)
}
