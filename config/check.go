package config

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"
)

// A shorter secret can be guessed.
const minSecret = 16

// checker judges what decoded well, key by key and together.
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
		c.warn("admin.address", "metrics and health are open to everybody who can reach %v", c.Admin.Address)
	}
}

// fail reports an error unless its key, or one inside its record, has one
// already: what follows from it would only distract.
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

// has reports whether somebody wrote the key called path, well or not.
func (c *checker) has(path string) bool {
	_, ok := c.at[path]
	return ok
}

// required reports the record at path for every name it lacks.
func (c *checker) required(path string, names ...string) {
	for _, name := range names {
		if !c.has(join(path, name)) {
			c.fail(path, "%s is missing", name)
		}
	}
}

// oneOf reports the record at path unless it has exactly one of the names.
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
		c.fail(path, "has %s: only one of them can count", list(got, "and"))
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

// unique reports the second of two equal values at different paths.
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

// written is the first of two keys that contradict each other, unless only the
// second is the user's doing.
func (c *checker) written(first, second string) string {
	if c.at[first].where == "" && c.at[second].where != "" {
		return second
	}
	return first
}

// positive reports every limit that would let nobody in.
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
				c.fail(path, "private is missing: with two public addresses of a family each needs its own")
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
		c.fail(path, "%s is no address that one host can have for others", a)
	}
}
