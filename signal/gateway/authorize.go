package gateway

import (
	"context"
	"net/http"
	"strings"
	"time"

	"icebox/signal"
)

// visitor checks the secrets of a request and in found, and returns the description of the client. If later is true, a
// request without a secret is accepted, because the client may show one in its first message.
func (l *listener) visitor(r *http.Request, c caller, rules *rules, later bool, found ...string) (v signal.Visitor, why reason, ok bool) {
	v = signal.Visitor{Addr: c.addr, Host: c.host, Base: c.base()}
	switch rules.limits.Access {
	case signal.ByKey:
		key, given, known := rules.apiKey(r, found...)
		v.Key = key
		switch {
		case !given && !later:
			return v, noKey, false
		case given && !known:
			return v, badKey, false
		}
	case signal.ByToken:
		why, ok = noToken, later
		for _, token := range append(found, bearerOrParamToken(r)) {
			if token == "" {
				continue
			}
			var err error
			if v.Grant, err = rules.token(r.Context(), token); err == nil {
				return v, 0, true
			}
			why, ok = badToken, false
		}
		return v, why, ok
	default:
		v.Key, _, _ = rules.apiKey(r, found...)
	}
	return v, 0, true
}

func bearerOrParamToken(r *http.Request) string {
	if t := r.URL.Query().Get("token"); t != "" {
		return t
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	return ""
}

// token verifies a token and returns its grant. While access is not by token, every token is invalid.
func (r *rules) token(ctx context.Context, token string) (signal.Grant, error) {
	if r.limits.Access != signal.ByToken {
		return signal.Grant{}, signal.ErrTokenInvalid
	}
	g, err := r.limits.Tokens.Verify(ctx, token)
	if err == nil && !signal.ValidName(g.Name) {
		err = signal.ErrTokenInvalid // without a name, the bearer could take any name
	}
	return g, err
}

// AuthorizeHello checks the token in a hello, which may be empty, together with the secrets that the visitor has already shown.
func (g *Gateway) AuthorizeHello(ctx context.Context, v signal.Visitor, token string) (signal.Visitor, error) {
	r := g.rules.Load()
	var err error
	switch r.limits.Access {
	case signal.ByKey:
		known := v.Key != ""
		if !known && token != "" {
			if v.Key, known = r.key(token); !known {
				return v, signal.ErrTokenInvalid
			}
		}
		if !known {
			return v, signal.ErrTokenMissing
		}
	case signal.ByToken:
		switch shown := v.Grant; {
		case token != "":
			v.Grant, err = r.token(ctx, token)
		case shown.Name == "":
			err = signal.ErrTokenMissing
		case !shown.Expires.IsZero() && !time.Now().Before(shown.Expires):
			err = signal.ErrTokenExpired
		}
	}
	return v, err
}
