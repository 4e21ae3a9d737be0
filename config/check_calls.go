package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"time"
)

// minHMAC is the shortest secret for HS256 in bytes: the length of its hash.
const minHMAC = 32

// maxParties is the greatest number of clients in a call. A mesh of more clients does not work well.
const maxParties = 8

func (c *checker) calls() {
	l := &c.Signal.Calls
	if l.Parties < 2 || l.Parties > maxParties {
		c.fail("signal.calls.parties", "want 2 to %d, got %d", maxParties, l.Parties)
	}
	c.positive("signal.calls.", map[string]int{"per_client": l.PerClient})
	c.between("signal.calls.unjoined", l.Unjoined, time.Minute, 168*time.Hour)
}

func (c *checker) jwt() {
	j := &c.Signal.JWT
	if c.Signal.Access == ByToken && len(j.Keys) == 0 && j.JWKS == "" {
		c.fail("signal.access", "is jwt, but signal.jwt has neither keys nor jwks: nobody could sign in")
	}
	if j.NameClaim == "" {
		c.fail("signal.jwt.name_claim", "is empty")
	}
	if j.CallsClaim == "" {
		c.fail("signal.jwt.calls_claim", "is empty")
	}
	if j.JWKS != "" {
		if err := keySetURL(j.JWKS); err != nil {
			c.fail("signal.jwt.jwks", "%w", err)
		}
	}
	for i := range j.Keys {
		c.jwtKey(fmt.Sprintf("signal.jwt.keys[%d]", i), &j.Keys[i])
	}
}

func (c *checker) jwtKey(path string, k *JWTKey) {
	c.oneOf(path, "public", "secret", "file")
	public := join(path, "public")
	switch {
	case c.has(public) && (c.has(join(path, "secret")) || c.has(join(path, "file"))):
		return
	case c.has(public) && k.Public == "":
		c.fail(public, "is empty")
		return
	case c.has(public):
		k.Public = c.resolve(k.Public)
		data, _, err := c.readFile(k.Public)
		if err != nil {
			c.fail(public, "%w", err)
		}
		k.Data = data
		return
	}
	at := c.secret(path, "secret", &k.Secret, &k.File)
	if n := len(k.Secret.value); n < minHMAC {
		c.fail(at, "has %d bytes, want at least %d", n, minHMAC)
	}
}

// keySetURL requires https, because an attacker on the network path could add a key
// over plain http.
func keySetURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("want a URL such as https://id.example.org/jwks.json, got %q", text)
	}
	a, err := netip.ParseAddr(u.Hostname())
	if u.Scheme == "http" && u.Hostname() != "localhost" && (err != nil || !a.IsLoopback()) {
		return fmt.Errorf("an attacker can replace keys that are fetched over plain http: want https, got %q", text)
	}
	return nil
}
