package config

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"
)

// minSecret is the shortest length of a secret in bytes. Shorter ones could be guessed.
const minSecret = 16

// checker validates the values that were decoded without an error, each by itself and in combination.
type checker struct {
	*report
	*Config
	dir      string // of the configuration file; "" for none
	readFile func(string) ([]byte, os.FileMode, error)
}

func (c *checker) all() {
	c.externalIPs()
	c.tls()
	c.turn()
	c.credentials()
	c.signal()
	c.http()
	c.proxyProtocol()
	c.overlaps()
	if c.StateDir == "" {
		c.fail("state_dir", "is empty")
	}
	if !c.Admin.Address.Loopback() {
		c.warn("admin.address", "metrics and health are open to every host that can reach %v", c.Admin.Address)
	}
}

// fail reports an error, unless its key or a key inside its record already has one. A second error would only be a
// consequence of the first.
func (c *checker) fail(path, format string, args ...any) {
	for _, e := range c.errs {
		if e.Key == path || strings.HasPrefix(e.Key, path+".") {
			return
		}
	}
	c.report.fail(path, format, args...)
}

func (c *checker) warn(path, format string, args ...any) {
	e := Error{Key: path, Err: fmt.Errorf(format, args...)}
	p := c.position(path)
	e.Where, e.Line = p.where, p.line
	c.warnings = append(c.warnings, e.Error())
}

// has reports whether any source sets the key called path, even to an invalid
// value.
func (c *checker) has(path string) bool {
	_, ok := c.at[path]
	return ok
}

// required reports an error for each of names that the record at path lacks.
func (c *checker) required(path string, names ...string) {
	for _, name := range names {
		if !c.has(join(path, name)) {
			c.fail(path, "%s is missing", name)
		}
	}
}

// oneOf reports an error unless the record at path has exactly one of names.
func (c *checker) oneOf(path string, names ...string) {
	var got []string
	for _, name := range names {
		if c.has(join(path, name)) {
			got = append(got, name)
		}
	}
	switch len(got) {
	case 0:
		c.fail(path, "needs one of %s", list(names, "and"))
	case 1:
	default:
		c.fail(path, "has %s: set only one of them", list(got, "and"))
	}
}

func list(names []string, last string) string {
	text := names[0]
	for i, name := range names[1:] {
		if i == len(names)-2 {
			text += " " + last + " " + name
		} else {
			text += ", " + name
		}
	}
	return text
}

// unique maps values to their paths, and reports a value that occurs twice.
type unique map[string]string

func (u unique) check(c *checker, path, value, what string) {
	if value == "" {
		return
	}
	if first, ok := u[value]; ok {
		c.fail(path, "%s is the same as %s", what, first)
		return
	}
	u[value] = path
}

func (c *checker) between(path string, d, low, high time.Duration) {
	if d < low || d > high {
		c.fail(path, "want %s to %s, got %s", duration(low), duration(high), duration(d))
	}
}

// written returns the key to name in an error about two keys that contradict each other. It returns the first, unless
// the user wrote only the second.
func (c *checker) written(first, second string) string {
	if c.at[first].where == "" && c.at[second].where != "" {
		return second
	}
	return first
}

// positive reports every limit below 1, because such a limit would admit no client.
func (c *checker) positive(path string, limits map[string]int) {
	for name, n := range limits {
		if n < 1 {
			c.fail(path+name, "want 1 or more, got %d", n)
		}
	}
}

func (c *checker) externalIPs() {
	private, public := make(unique), make(unique)
	alone := make(map[bool]int)
	for i := range c.ExternalIP {
		e := &c.ExternalIP[i]
		path := fmt.Sprintf("external_ip[%d]", i)
		e.Public, e.Private = e.Public.Unmap(), e.Private.Unmap()
		if c.required(path, "public"); !e.Public.IsValid() {
			continue
		}
		c.unicast(join(path, "public"), e.Public)
		public.check(c, join(path, "public"), e.Public.String(), e.Public.String())
		if !e.Private.IsValid() {
			if alone[e.Public.Is4()]++; alone[e.Public.Is4()] > 1 {
				c.fail(path, "private is missing: each of several public addresses of one family needs its own")
			}
			continue
		}
		c.unicast(join(path, "private"), e.Private)
		private.check(c, join(path, "private"), e.Private.String(), e.Private.String())
		if e.Public.Is4() != e.Private.Is4() {
			c.fail(path, "public %s and private %s are of different families", e.Public, e.Private)
		}
	}
}

func (c *checker) unicast(path string, a netip.Addr) {
	if a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() || a.Zone() != "" ||
		a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		c.fail(path, "%s is not an address at which other hosts can reach this one", a)
	}
}
