package pocketbase

import (
	"crypto/rand"
	"errors"
	"time"

	"icebox/signal"
)

// signIn answers auth-with-password. A token that is shown beside is the SDK's of an earlier page: it is no reason to refuse.
func (req *request) signIn() ([]byte, *problem) {
	body, refused := req.read(maxSignIn)
	if refused != nil {
		return nil, refused
	}
	s, ok := decodeCredentials(body)
	if !ok {
		return nil, problemPassword
	}
	before, _, stranger := req.authenticate(req.requestToken())
	g, ok := req.attempts.allowAttempt(req.addrKey(), s.identity, stranger == nil && before.account != "" && before.identity == s.identity)
	if !ok {
		return nil, withRetryAfter(problemTooManyAttempts, time.Minute)
	}
	all := req.accounts.Load()
	p, right, busy := req.attempts.checkPassword(all, s)
	until := time.Now().Add(tokenLife)
	switch {
	case busy:
		refused = problemChecksBusy
	case right:
	case all.anyone && all.users[s.identity] == nil:
		p, until, refused = req.signInVisitor(s, until)
	default:
		return nil, problemPassword
	}
	if refused == problemPassword {
		return nil, refused
	}
	g.refund()
	if refused != nil {
		return nil, refused
	}
	p.signInID = rand.Text()
	req.metrics.signIns.Inc()
	return req.signedIn(p, until), nil
}

// signInVisitor signs somebody in who is not among the users, by the access that is for all protocols: the password is an API key or a token
// where there is one. The same identity and password, from the same address, are the same user.
func (req *request) signInVisitor(s credentials, until time.Time) (person, time.Time, *problem) {
	v, err := req.access.Authorize(s.password)
	switch {
	case errors.Is(err, signal.ErrOrigin):
		return person{}, until, problemAccessDenied
	case err != nil:
		return person{}, until, problemPassword
	case v.Grant.Limited: // to calls whose IDs were known beforehand
		return person{}, until, problemAccessDenied
	}
	p := person{identity: s.identity, user: idFromHash(req.signer.mac("anyone", s.identity, s.password, req.addrKey().String()))}
	if name := v.Grant.Name; name != "" {
		p = person{identity: name, user: idFromHash(req.signer.mac("grant", name))}
	}
	if end := v.Grant.Expires; !end.IsZero() && end.Before(until) {
		until = end
	}
	return p, until, nil
}

// refresh answers auth-refresh: the session stays the same, and so does who is in a call.
func (req *request) refresh() ([]byte, *problem) {
	p, until, refused := req.authenticate(req.requestToken())
	if refused != nil {
		return nil, refused
	}
	if p.account != "" { // for how long others may stay was said when they came
		until = time.Now().Add(tokenLife)
	}
	return req.signedIn(p, until), nil
}

func (req *request) signedIn(p person, until time.Time) []byte {
	b := append([]byte(`{"record":`), userRecord(p, time.Now())...)
	b = append(b, `,"token":`...)
	b = append(b, quote(req.signer.sign(p, until))...)
	return append(b, '}')
}
