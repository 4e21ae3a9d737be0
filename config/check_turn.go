package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits of RFC 8489, sections 14.3 and 14.9.
const (
	maxUsername = 508 // bytes
	maxRealm    = 127 // bytes; the RFC counts characters
)

func (c *checker) turn() {
	t := &c.TURN
	switch {
	case t.Realm == "":
		c.fail("turn.realm", "is empty")
	case len(t.Realm) > maxRealm:
		c.fail("turn.realm", "has more than %d bytes", maxRealm)
	case !printable(t.Realm):
		c.fail("turn.realm", "has characters that cannot be printed")
	}
	if t.RelayPorts.Min < 1024 {
		c.fail("turn.relay_ports", "want ports from 1024 to 65535, got %d-%d", t.RelayPorts.Min, t.RelayPorts.Max)
	}
	c.between("turn.max_session", t.MaxSession, time.Minute, 8760*time.Hour)
	c.positive("turn.limits.", map[string]int{
		"allocations_per_user": t.Limits.AllocationsPerUser, "allocations_per_address": t.Limits.AllocationsPerAddress,
		"permissions": t.Limits.Permissions, "channels": t.Limits.Channels,
		"connections": t.Limits.Connections, "connections_per_address": t.Limits.ConnectionsPerAddress,
		"replies": t.Limits.Replies, "replies_per_prefix": t.Limits.RepliesPerPrefix,
	})
	for i := range t.Listen {
		c.turnListen(fmt.Sprintf("turn.listen[%d]", i), &t.Listen[i])
	}
	addresses := make(unique)
	for i, a := range t.RelayAddresses {
		path := fmt.Sprintf("turn.relay_addresses[%d]", i)
		t.RelayAddresses[i] = a.Unmap()
		c.unicast(path, a.Unmap())
		addresses.check(c, path, a.Unmap().String(), a.Unmap().String())
	}
	names := make(unique)
	for i := range t.Users {
		c.user(fmt.Sprintf("turn.users[%d]", i), &t.Users[i], names)
	}
	for i := range t.Peers {
		path := fmt.Sprintf("turn.peers[%d]", i)
		c.oneOf(path, "allow", "deny")
	}
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

func (c *checker) turnListen(path string, l *TURNListen) {
	if !c.has(path) {
		return // a default
	}
	if l.Address == (Endpoint{}) {
		c.required(path, "address")
	}
	if len(l.Transports) == 0 {
		c.fail(join(path, "transports"), "is empty")
	}
	for i, t := range l.Transports {
		at := fmt.Sprintf("%s.transports[%d]", path, i)
		if slices.Contains(l.Transports[:i], t) {
			c.fail(at, "%s is listed twice", t)
		}
		if t.Encrypted() && !c.TLS.Enabled() {
			c.fail(at, "%s needs a certificate: set tls", t)
		}
	}
	if slices.Contains(l.Transports, TCP) && slices.Contains(l.Transports, OverTLS) {
		c.fail(join(path, "transports"), "tcp and tls need a port each")
	}
}

func (c *checker) user(path string, u *User, names unique) {
	c.required(path, "name")
	name := join(path, "name")
	if c.has(name) {
		switch {
		case u.Name == "":
			c.fail(name, "is empty")
		case len(u.Name) > maxUsername:
			c.fail(name, "has more than %d bytes", maxUsername)
		case !printable(u.Name):
			c.fail(name, "has characters that cannot be printed")
		}
		names.check(c, name, u.Name, fmt.Sprintf("%q", u.Name))
	}
	c.oneOf(path, "password", "key", "file")
	switch {
	case c.has(join(path, "password")) && u.Password.IsZero():
		c.fail(join(path, "password"), "is empty")
	case u.File != "":
		u.Password = c.secretFile(join(path, "file"), u.File)
		u.File = c.resolve(u.File)
	case c.has(join(path, "file")):
		c.fail(join(path, "file"), "is empty")
	}
}

func (c *checker) credentials() {
	cr := &c.Credentials
	c.between("credentials.ttl", cr.TTL, time.Minute, 8760*time.Hour)
	c.between("credentials.max_future", cr.MaxFuture, time.Minute, 8760*time.Hour)
	if cr.MaxFuture < cr.TTL {
		c.fail(c.written("credentials.max_future", "credentials.ttl"),
			"a max_future of %s is shorter than a ttl of %s: this daemon would refuse its own credentials", duration(cr.MaxFuture), duration(cr.TTL))
	}
	secrets := make(unique)
	for i := range cr.Secrets {
		s := &cr.Secrets[i]
		path := fmt.Sprintf("credentials.secrets[%d]", i)
		at := c.secret(path, "secret", &s.Secret, &s.File)
		if n := len(s.Secret.value); n < minSecret && !s.AllowShort {
			c.fail(at, "has %d bytes, want at least %d, or allow_short: true if another program dictates it", n, minSecret)
		}
		secrets.check(c, at, s.Secret.value, "this secret")
	}
}

// secret reads the secret called name in the record at path, in place or from its
// file, and returns the path of the key that the user wrote.
func (c *checker) secret(path, name string, value *Secret, file *string) string {
	c.oneOf(path, name, "file")
	if !c.has(join(path, "file")) {
		if c.has(join(path, name)) && value.IsZero() {
			c.fail(join(path, name), "is empty")
		}
		return join(path, name)
	}
	if *file == "" {
		c.fail(join(path, "file"), "is empty")
		return join(path, "file")
	}
	*value = c.secretFile(join(path, "file"), *file)
	*file = c.resolve(*file)
	return join(path, "file")
}
