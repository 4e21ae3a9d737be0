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

// rules are limits made ready for use.
type rules struct {
	limits    signal.Limits
	keys      []hashedKey
	origins   map[string]bool
	anyOrigin bool
}

// hashedKey has a key's hash, so that comparing takes as long whatever the length of either side.
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

// key returns the name of the API key that the secret is.
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

// nullOrigin reports whether an origin stands for none: some browsers say file:// for pages from files.
func nullOrigin(o string) bool { return o == null || o == "file://" }

// parseOrigin reads a scheme, a host and perhaps a port, and leaves out the port that goes without saying.
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
	// A page of localhost that reaches us at 127.0.0.1 is as near as one of the same name.
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

// fromOwnPage reports whether a request says of itself that a page of this host made it. Browsers don't let
// pages lie about that; anything else can.
func (r *rules) fromOwnPage(req *http.Request, c caller) bool {
	if origins := req.Header["Origin"]; len(origins) > 0 {
		return len(origins) == 1 && r.admitsPage(origins[0], c)
	}
	if site := req.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	// Browsers leave Sec-Fetch-Site out on plain http, and Origin out of plain GETs.
	u, err := url.Parse(req.Header.Get("Referer"))
	return err == nil && u.Host != "" && plainHost(u.Host) == c.host &&
		(c.scheme == "" || strings.EqualFold(u.Scheme, c.scheme))
}
