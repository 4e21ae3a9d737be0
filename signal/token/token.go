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
	leeway         = 30 * time.Second
	maxTokenBytes  = 16 << 10
	minSecretBytes = 32 // bytes of a secret: as many as HS256 uses
)

// Options say which tokens are good.
type Options struct {
	Keys     []Key
	JWKS     string // URL of a key set; https, or http on a loopback address
	Issuer   string // of tokens; any if empty
	Audience string // that tokens must be for; any if empty

	NameClaim  string       // "sub"
	CallsClaim string       // "calls"
	Client     *http.Client // for the JWKS; one with a timeout
}

// Verifier implements [signal.TokenVerifier]. It is safe for concurrent use.
type Verifier struct {
	opts   Options
	parser *jwt.Parser
	remote *keySet // nil without a JWKS
}

// New returns a Verifier, without fetching anything.
func New(o Options) (*Verifier, error) {
	o.NameClaim, o.CallsClaim = cmp.Or(o.NameClaim, "sub"), cmp.Or(o.CallsClaim, "calls")
	o.Client = cmp.Or(o.Client, &http.Client{Timeout: fetchWait, CheckRedirect: checkRedirect})
	if len(o.Keys) == 0 && o.JWKS == "" {
		return nil, errors.New("there is no key to verify tokens with")
	}
	for i, k := range o.Keys {
		if _, err := k.algorithm(); err != nil {
			return nil, fmt.Errorf("key %d for tokens: %w", i+1, err)
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

// CheckURL reports why keys can't be fetched from a URL: over plain http anybody on the way could add one.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("%q is no URL of a key set", s)
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return fmt.Errorf("keys from %s could be anybody's: use https", s)
	}
	return nil
}

// checkRedirect follows no checkRedirect to where keys can't be fetched from.
func checkRedirect(r *http.Request, via []*http.Request) error {
	if len(via) > 3 {
		return errors.New("too many redirects")
	}
	return CheckURL(r.URL.String())
}

// Prefetch fetches the key set, if there is one, to find out early that it can't be had.
func (v *Verifier) Prefetch(ctx context.Context) error {
	if v.remote == nil {
		return nil
	}
	_, err := v.remote.keys(ctx, "")
	return err
}

// Verify implements [signal.TokenVerifier].
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

// candidates returns the keys that a token may be signed with.
func (v *Verifier) candidates(ctx context.Context, t *jwt.Token) (any, error) {
	if _, critical := t.Header["crit"]; critical { // RFC 7515 section 4.1.11: nothing is understood that may be in it
		return nil, errors.New("the token has extensions that must be understood")
	}
	alg, _ := t.Header["alg"].(string)
	id, _ := t.Header["kid"].(string)
	keys := matchingKeys(v.opts.Keys, alg, id)
	if v.remote != nil && alg != "HS256" {
		// Not with a context that the bearer can end: the next bearers would have to do without the keys.
		fetched, err := v.remote.keys(context.WithoutCancel(ctx), id)
		if err != nil && len(keys) == 0 {
			return nil, err
		}
		keys = append(keys, matchingKeys(fetched, alg, id)...)
	}
	if len(keys) == 0 {
		return nil, errors.New("no key is for this token")
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

// grant reads the claims of a token that is good.
func (v *Verifier) grant(claims jwt.MapClaims) (signal.Grant, error) {
	var g signal.Grant
	g.Name, _ = claims[v.opts.NameClaim].(string)
	if !signal.ValidName(g.Name) {
		return g, fmt.Errorf("%w: its claim %q is no name", signal.ErrTokenInvalid, v.opts.NameClaim)
	}
	expires, err := claims.GetExpirationTime()
	if err != nil || expires == nil {
		return g, fmt.Errorf("%w: it does not expire", signal.ErrTokenInvalid)
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
		return g, fmt.Errorf("%w: its claim %q is no list of calls", signal.ErrTokenInvalid, v.opts.CallsClaim)
	}
	return g, nil
}
