package pocketbase

import (
	"crypto/rand"
	"errors"
	"time"

	"icebox/signal"
)

// signIn answers auth-with-password. A token that is shown beside is the SDK's of an earlier page: it is no reason to refuse.
func (x *request) signIn() ([]byte, *problem) {
	body, refused := x.read(maxSignIn)
	if refused != nil {
		return nil, refused
	}
	s, ok := decodeCredentials(body)
	if !ok {
		return nil, problemPassword
	}
	before, _, stranger := x.authenticate(x.requestToken())
	g, ok := x.attempts.allowAttempt(x.addrKey(), s.identity, stranger == nil && before.account != "" && before.identity == s.identity)
	if !ok {
		return nil, waiting(problemAttempts, time.Minute)
	}
	all := x.accounts.Load()
	p, right, busy := x.attempts.checkPassword(all, s)
	until := time.Now().Add(tokenLife)
	switch {
	case busy:
		refused = problemChecks
	case right:
	case all.anyone && all.users[s.identity] == nil:
		p, until, refused = x.signInVisitor(s, until)
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
	x.metrics.signIns.Inc()
	return x.signedIn(p, until), nil
}

// signInVisitor signs somebody in who is not among the users, by the access that is for all protocols: the password is an API key or a token
// where there is one. The same identity and password, from the same address, are the same user.
func (x *request) signInVisitor(s credentials, until time.Time) (person, time.Time, *problem) {
	v, err := x.access.Authorize(s.password)
	switch {
	case errors.Is(err, signal.ErrOrigin):
		return person{}, until, problemAccess
	case err != nil:
		return person{}, until, problemPassword
	case v.Grant.Limited: // to calls whose IDs were known beforehand
		return person{}, until, problemAccess
	}
	p := person{identity: s.identity, user: idOf(x.signer.mac("anyone", s.identity, s.password, x.addrKey().String()))}
	if name := v.Grant.Name; name != "" {
		p = person{identity: name, user: idOf(x.signer.mac("grant", name))}
	}
	if end := v.Grant.Expires; !end.IsZero() && end.Before(until) {
		until = end
	}
	return p, until, nil
}

// refresh answers auth-refresh: the session stays the same, and so does who is in a call.
func (x *request) refresh() ([]byte, *problem) {
	p, until, refused := x.authenticate(x.requestToken())
	if refused != nil {
		return nil, refused
	}
	if p.account != "" { // for how long others may stay was said when they came
		until = time.Now().Add(tokenLife)
	}
	return x.signedIn(p, until), nil
}

func (x *request) signedIn(p person, until time.Time) []byte {
	b := append([]byte(`{"record":`), userRecord(p, time.Now())...)
	b = append(b, `,"token":`...)
	b = append(b, quote(x.signer.sign(p, until))...)
	return append(b, '}')
}
