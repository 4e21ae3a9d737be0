package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"icebox/signal"
)

// rules are limits prepared for use.
type rules struct {
	limits    signal.Limits
	keys      []hashedKey
	origins   map[string]bool
	anyOrigin bool
}

// hashedKey is the hash of an API key. Comparing hashes takes a time that does not depend on the lengths of the secrets.
type hashedKey struct {
	name string
	sum  [sha256.Size]byte
}

func compile(l signal.Limits) (*rules, error) {
	r := &rules{limits: l, origins: make(map[string]bool)}
	for _, k := range l.Keys {
		r.keys = append(r.keys, hashedKey{k.Name, sha256.Sum256([]byte(k.Key))})
	}
	var errs []error
	for _, o := range l.Origins {
		switch {
		case o == "*":
			r.anyOrigin = true
		case nullOrigin(o):
			r.origins[null] = true
		default:
			u, ok := parseOrigin(o)
			if !ok {
				errs = append(errs, fmt.Errorf("origin %q is not like https://app.example.org", o))
				continue
			}
			r.origins[u.String()] = true
		}
	}
	return r, errors.Join(errs...)
}

// key returns the name of the API key that equals secret.
func (r *rules) key(secret string) (name string, ok bool) {
	sum := sha256.Sum256([]byte(secret))
	for _, k := range r.keys {
		if subtle.ConstantTimeCompare(sum[:], k.sum[:]) == 1 {
			name, ok = k.name, true
		}
	}
	return name, ok
}

const null = "null"

// nullOrigin reports whether an origin is that of a page from a file. Some browsers send file:// instead of null.
func nullOrigin(o string) bool { return o == null || o == "file://" }

// parseOrigin parses a scheme, a host and an optional port, and removes the default port of the scheme.
func parseOrigin(s string) (*url.URL, bool) {
	u, err := url.Parse(strings.ToLower(s))
	if err != nil || u.Scheme == "" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		u.Path != "" && u.Path != "/" {
		return nil, false
	}
	u.Path = ""
	if u.Scheme == "http" && u.Port() == "80" || u.Scheme == "https" && u.Port() == "443" {
		u.Host = strings.TrimSuffix(strings.TrimSuffix(u.Host, u.Port()), ":")
	}
	return u, true
}

// admitsPage reports whether a page of this origin may use the server.
func (r *rules) admitsPage(origin string, c caller) bool {
	if r.anyOrigin {
		return true
	}
	if nullOrigin(origin) {
		return r.origins[null]
	}
	u, ok := parseOrigin(origin)
	if !ok {
		return false
	}
	host := plainHost(u.Host)
	// A page of localhost may connect to 127.0.0.1 although the names differ.
	return r.origins[u.String()] || host == c.host && c.host != "" || c.local && loopbackHost(host)
}

// admitsOrigin reports whether a request with these Origin headers may sign in.
func (r *rules) admitsOrigin(headers []string, c caller) bool {
	switch {
	case len(headers) > 1:
		return false
	case r.anyOrigin:
		return true
	case len(headers) == 0 || nullOrigin(headers[0]):
		return c.local || r.limits.Access != signal.Open || len(headers) == 1 && r.admitsPage(null, c)
	default:
		return r.admitsPage(headers[0], c)
	}
}

// fromOwnPage reports whether the headers of a request say that a page of this host sent it. Pages in browsers cannot forge these
// headers; other programs can.
func (r *rules) fromOwnPage(req *http.Request, c caller) bool {
	if origins := req.Header["Origin"]; len(origins) > 0 {
		return len(origins) == 1 && r.admitsPage(origins[0], c)
	}
	if site := req.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	// Browsers send no Sec-Fetch-Site over http, and no Origin with simple GET requests.
	u, err := url.Parse(req.Header.Get("Referer"))
	return err == nil && u.Host != "" && plainHost(u.Host) == c.host &&
		(c.scheme == "" || strings.EqualFold(u.Scheme, c.scheme))
}
