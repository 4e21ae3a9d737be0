package turnserver

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"strconv"
	"testing"
	"time"

	"icebox/turnserver/wire"
)

// neighbour is a program that mints credentials with the secret that it shares with icebox, in the version named.
type neighbour struct {
	username func(now time.Time) string
	lives    time.Duration
	counts   string // the user that quotas count; "" means the whole username
}

// neighbours are the programs in deploy/clients.md. They differ in their usernames and sign in the same way, see sharedPassword.
var neighbours = map[string]neighbour{
	// Talk 20, lib/Config.php: a random word of 16 characters, base64's.
	"Nextcloud Talk": {func(now time.Time) string {
		return strconv.FormatInt(now.Unix()+86400, 10) + ":Zb+4/0dQxw9KtU7f"
	}, 24 * time.Hour, "Zb+4/0dQxw9KtU7f"},
	// Synapse 1.140, rest/client/voip.py: the user's ID, which has a colon; turn_user_lifetime in milliseconds, divided as a float.
	"Synapse": {func(now time.Time) string {
		const lifetime = 3_600_000
		return fmt.Sprintf("%d:%s", int64(float64(now.UnixMilli()+lifetime)/1000), "@alice:example.org")
	}, time.Hour, "@alice:example.org"},
	"Synapse, a guest": {func(now time.Time) string {
		return fmt.Sprintf("%d:@%d:example.org", now.Add(time.Hour).Unix(), 42)
	}, time.Hour, "@42:example.org"},
	// Prosody 0.12 and 13.0, mod_external_services, as Jitsi's package and mod_turn_external set it up: no ID at all.
	"Prosody, Jitsi": {func(now time.Time) string { return fmt.Sprintf("%d", now.Unix()+86400) }, 24 * time.Hour, ""},
	// The same with turn_external_user, or username in external_services.
	"Prosody with a user": {func(now time.Time) string {
		return fmt.Sprintf("%d:%s", now.Unix()+86400, "prosody")
	}, 24 * time.Hour, "prosody"},
	// LiveKit 1.9, pkg/service/roommanager.go: the participant's ID.
	"LiveKit": {func(now time.Time) string {
		return fmt.Sprintf("%d:%s", now.Add(14400*time.Second).Unix(), "PA_8fJ2kD9sQwLx")
	}, 4 * time.Hour, "PA_8fJ2kD9sQwLx"},
	// Galene 0.9 and later, ice/ice.go: what ice-servers.json has for username, if it has any.
	"Galene":                    {func(now time.Time) string { return fmt.Sprintf("%d", now.Unix()+86400) }, 24 * time.Hour, ""},
	"Galene with a username":    {func(now time.Time) string { return fmt.Sprintf("%d:%s", now.Unix()+86400, "galene") }, 24 * time.Hour, "galene"},
	"Galene, a name of digits":  {func(now time.Time) string { return fmt.Sprintf("%d:%s", now.Unix()+86400, "1") }, 24 * time.Hour, "1"},
	"draft-uberti, other order": {func(now time.Time) string { return fmt.Sprintf("web:%d", now.Unix()+86400) }, 24 * time.Hour, "web"},
}

// sharedPassword returns the password for a username: an HMAC in standard base64 with its padding, which is always one "=" here.
func sharedPassword(enc *base64.Encoding, secret, username string) string {
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(username))
	return enc.EncodeToString(mac.Sum(nil))
}

// Credentials of each of these programs can allocate until they expire, and count for their user.
func TestNeighbours(t *testing.T) {
	const secret = "one secret for all of them"
	ts := serve(t, func(o *Options, l *Limits) { relayApart(o, l); *l = sharing(t, "another one", secret) })
	try := func(t *testing.T, username string, enc *base64.Encoding) *wire.Message {
		c := ts.dial(t, "udp4")
		c.login()
		c.user, c.password = username, sharedPassword(enc, secret, username)
		return c.do(wire.Allocate, udpTransport)
	}
	for name, n := range neighbours {
		t.Run(name, func(t *testing.T) {
			now := time.Now()
			live, old := n.username(now), n.username(now.Add(-n.lives-2*time.Second))
			if got := code(try(t, old, base64.StdEncoding)); got != wire.Unauthorized {
				t.Errorf("one that has expired gets %d", got)
			}
			if got := code(try(t, live, base64.RawStdEncoding)); got != wire.Unauthorized {
				t.Errorf("a password without padding gets %d", got)
			}
			c := ts.dial(t, "udp4")
			c.login()
			c.user, c.password = live, sharedPassword(base64.StdEncoding, secret, live)
			m := c.do(wire.Allocate, udpTransport)
			c.must(m, 0)
			c.wellMade(m, wire.Allocate)
			want := n.counts
			if want == "" {
				want = live
			}
			if i := ts.Sessions(); len(i) != 1 || i[0].User != want || i[0].CredentialID != "" {
				t.Errorf("sessions %+v, want one of %q", i, want)
			}
			c.must(c.do(wire.Refresh, attr(wire.AttrLifetime, 0, 0, 0, 0)), 0)
		})
	}
}
