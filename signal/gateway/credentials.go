package gateway

import (
	"net/http"
	"strings"

	"icebox/signal"
)

// source is the place in a request where a secret was found.
type source uint8

const (
	inParam source = iota
	inBearer
	inBasic
)

type secret struct {
	value string
	from  source
}

// shownSecrets returns all secrets in a request. A proxy that requires a password of its own forwards that password with
// the request. So an unknown secret is not a reason to refuse a request that also has a known one.
func shownSecrets(r *http.Request, param func(string) string) (secrets []secret) {
	if _, password, ok := r.BasicAuth(); ok {
		secrets = append(secrets, secret{password, inBasic})
	}
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if ok && strings.EqualFold(scheme, "Bearer") {
		secrets = append(secrets, secret{strings.TrimSpace(token), inBearer})
	}
	for _, name := range []string{"key", "api", "apiKey"} {
		if v := param(name); v != "" {
			secrets = append(secrets, secret{v, inParam})
		}
	}
	return secrets
}

// apiKey returns the name of the API key among the secrets of a WebSocket request and those in found. given reports whether
// there is any secret. known reports whether one of them is an API key.
func (r *rules) apiKey(req *http.Request, found ...string) (name string, given, known bool) {
	secrets := shownSecrets(req, req.URL.Query().Get)
	for _, value := range found {
		if value != "" {
			secrets = append(secrets, secret{value, inParam})
		}
	}
	for _, s := range secrets {
		if name, known = r.key(s.value); known {
			return name, true, true
		}
	}
	return "", len(secrets) > 0, false
}

// iceUser returns the user for whom a request gets ICE servers, or the failure that refuses it.
func (l *listener) iceUser(r *http.Request, c caller, rules *rules, p params) (string, *failure) {
	refusal := failNoKey
	for _, s := range shownSecrets(r, p.get) {
		if name, ok := rules.key(s.value); ok {
			if p.username != "" {
				name += "/" + p.username
			}
			return name, nil
		}
		if g, err := rules.token(r.Context(), s.value); err == nil && s.from == inBearer {
			return g.Name, nil
		}
		if client, ok := l.opts.Hub.SignedInClient(s.value); ok {
			return client.Name(), nil
		}
		if user, ok := l.mountUser(c, s.value); ok && s.from == inBearer {
			return user, nil
		}
		switch {
		case s.from == inParam:
			refusal = failBadKey
		case s.from == inBearer, refusal == failNoKey && rules.limits.Access == signal.ByKey:
			refusal = failBadToken
		}
	}
	if refusal == failNoKey && rules.limits.Access == signal.Open && rules.fromOwnPage(r, c) {
		return "@" + l.addrKey(c).String(), nil
	}
	return "", refusal
}
