package token

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"icebox/signal"
)

const (
	// leeway is how much the issuer's clock may differ from this server's.
	leeway        = 30 * time.Second
	maxTokenBytes = 16 << 10
	// minSecretBytes is the length of a SHA-256 hash, which RFC 7518 section 3.2 requires of HS256 keys.
	minSecretBytes = 32
)

// Options determine which tokens are valid. Keys or JWKS is required.
type Options struct {
	Keys     []Key
	JWKS     string // URL of a key set: https, or http to a loopback address
	Issuer   string // required "iss" of tokens; any if empty
	Audience string // required "aud" of tokens; any if empty

	NameClaim  string       // claim with the bearer's name; default "sub"
	CallsClaim string       // claim with the IDs of the bearer's calls; default "calls"
	Client     *http.Client // for fetching the JWKS; default: a client with a timeout of 5 s
}

// Verifier implements [signal.TokenVerifier]. It is safe for concurrent use.
type Verifier struct {
	opts   Options
	parser *jwt.Parser
	remote *keySet // nil without Options.JWKS
}

// New returns a Verifier. It does not fetch the key set.
func New(o Options) (*Verifier, error) {
	o.NameClaim, o.CallsClaim = cmp.Or(o.NameClaim, "sub"), cmp.Or(o.CallsClaim, "calls")
	o.Client = cmp.Or(o.Client, &http.Client{Timeout: fetchTimeout, CheckRedirect: checkRedirect})
	if len(o.Keys) == 0 && o.JWKS == "" {
		return nil, errors.New("no key for verifying tokens is configured")
	}
	for i, k := range o.Keys {
		if _, err := k.algorithm(); err != nil {
			return nil, fmt.Errorf("key %d for verifying tokens: %w", i+1, err)
		}
	}
	parser := []jwt.ParserOption{
		jwt.WithValidMethods([]string{"HS256", "RS256", "ES256", "EdDSA"}), jwt.WithExpirationRequired(), jwt.WithLeeway(leeway),
	}
	if o.Issuer != "" {
		parser = append(parser, jwt.WithIssuer(o.Issuer))
	}
	if o.Audience != "" {
		parser = append(parser, jwt.WithAudience(o.Audience))
	}
	v := &Verifier{opts: o, parser: jwt.NewParser(parser...)}
	if o.JWKS != "" {
		if err := CheckURL(o.JWKS); err != nil {
			return nil, err
		}
		v.remote = &keySet{url: o.JWKS, client: o.Client}
	}
	return v, nil
}

// CheckURL returns an error if keys must not be fetched from a URL. With plain http, anybody on the network path could replace
// the keys, so that is allowed for loopback addresses only.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("%q is not an http or https URL", s)
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return fmt.Errorf("an attacker on the network could replace the keys from %s: use https", s)
	}
	return nil
}

// checkRedirect refuses redirects to URLs that CheckURL refuses.
func checkRedirect(r *http.Request, via []*http.Request) error {
	if len(via) > 3 {
		return errors.New("too many redirects")
	}
	return CheckURL(r.URL.String())
}

// Prefetch fetches the key set, if there is one, so that the caller finds out about a wrong URL at start and not at the
// first sign-in.
func (v *Verifier) Prefetch(ctx context.Context) error {
	if v.remote == nil {
		return nil
	}
	_, err := v.remote.keys(ctx, "")
	return err
}

// Verify implements [signal.TokenVerifier]. It may fetch the key set, which takes up to 5 s.
func (v *Verifier) Verify(ctx context.Context, token string) (signal.Grant, error) {
	if len(token) > maxTokenBytes {
		return signal.Grant{}, signal.ErrTokenInvalid
	}
	claims := jwt.MapClaims{}
	_, err := v.parser.ParseWithClaims(token, claims, func(t *jwt.Token) (any, error) { return v.candidates(ctx, t) })
	switch {
	case errors.Is(err, errFetch):
		return signal.Grant{}, fmt.Errorf("%w: %w", signal.ErrUnavailable, err)
	case errors.Is(err, jwt.ErrTokenExpired):
		return signal.Grant{}, fmt.Errorf("%w: %w", signal.ErrTokenExpired, err)
	case err != nil:
		return signal.Grant{}, fmt.Errorf("%w: %w", signal.ErrTokenInvalid, err)
	}
	return v.grant(claims)
}

// candidates returns the keys that may have signed a token, according to its algorithm and key ID.
func (v *Verifier) candidates(ctx context.Context, t *jwt.Token) (any, error) {
	if _, critical := t.Header["crit"]; critical {
		// RFC 7515 section 4.1.11: a token must be refused if one of its critical extensions is not supported. This package
		// supports none.
		return nil, errors.New("the token requires extensions that are not supported")
	}
	alg, _ := t.Header["alg"].(string)
	id, _ := t.Header["kid"].(string)
	keys := matchingKeys(v.opts.Keys, alg, id)
	if v.remote != nil && alg != "HS256" {
		// Do not pass the bearer's context: if the bearer disconnected, the fetch would fail for the next bearers, too.
		fetched, err := v.remote.keys(context.WithoutCancel(ctx), id)
		if err != nil && len(keys) == 0 {
			return nil, err
		}
		keys = append(keys, matchingKeys(fetched, alg, id)...)
	}
	if len(keys) == 0 {
		return nil, errors.New("no key matches this token")
	}
	return jwt.VerificationKeySet{Keys: keys}, nil
}

func matchingKeys(all []Key, alg, id string) (keys []jwt.VerificationKey) {
	for _, k := range all {
		if a, _ := k.algorithm(); a == alg && (k.ID == "" || id == "" || k.ID == id) {
			keys = append(keys, k.Key)
		}
	}
	return keys
}

// grant converts the claims of a verified token to a Grant.
func (v *Verifier) grant(claims jwt.MapClaims) (signal.Grant, error) {
	var g signal.Grant
	g.Name, _ = claims[v.opts.NameClaim].(string)
	if !signal.ValidName(g.Name) {
		return g, fmt.Errorf("%w: its claim %q is not a valid name", signal.ErrTokenInvalid, v.opts.NameClaim)
	}
	expires, err := claims.GetExpirationTime()
	if err != nil || expires == nil {
		return g, fmt.Errorf("%w: it has no expiry time", signal.ErrTokenInvalid)
	}
	g.Expires = expires.Add(leeway)
	calls, limited := claims[v.opts.CallsClaim]
	if !limited {
		return g, nil
	}
	g.Limited = true
	list, ok := calls.([]any)
	for _, c := range list {
		id, isString := c.(string)
		ok = ok && isString
		g.Calls = append(g.Calls, id)
	}
	if !ok {
		return g, fmt.Errorf("%w: its claim %q is not a list of strings", signal.ErrTokenInvalid, v.opts.CallsClaim)
	}
	return g, nil
}
