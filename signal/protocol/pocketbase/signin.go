package pocketbase

import (
	"crypto/rand"
	"errors"
	"time"

	"icebox/signal"
)

// signIn answers auth-with-password. A token that is shown beside is the SDK's of an earlier page: it is no reason to refuse.
func (x *exchange) signIn() ([]byte, *problem) {
	body, refused := x.read(maxSignIn)
	if refused != nil {
		return nil, refused
	}
	s, ok := decodeSignIn(body)
	if !ok {
		return nil, problemPassword
	}
	before, _, stranger := x.who(x.shown())
	g, ok := x.guesses.allow(x.bucket(), s.identity, stranger == nil && before.account != "" && before.identity == s.identity)
	if !ok {
		return nil, waiting(problemGuesses, time.Minute)
	}
	all := x.accounts.Load()
	p, right, busy := x.guesses.check(all, s)
	until := time.Now().Add(tokenLife)
	switch {
	case busy:
		refused = problemChecks
	case right:
	case all.anyone && all.users[s.identity] == nil:
		p, until, refused = x.welcome(s, until)
	default:
		return nil, problemPassword
	}
	if refused == problemPassword {
		return nil, refused
	}
	g.take()
	if refused != nil {
		return nil, refused
	}
	p.session = rand.Text()
	x.metrics.signIns.Inc()
	return x.signedIn(p, until), nil
}

// welcome signs somebody in who is not among the users, by the access that is for all protocols: the password is an API key or a token
// where there is one. The same identity and password, from the same address, are the same user.
func (x *exchange) welcome(s signIn, until time.Time) (person, time.Time, *problem) {
	v, err := x.door.Judge(s.password)
	switch {
	case errors.Is(err, signal.ErrOrigin):
		return person{}, until, problemAccess
	case err != nil:
		return person{}, until, problemPassword
	case v.Grant.Limited: // to calls whose IDs were known beforehand
		return person{}, until, problemAccess
	}
	p := person{identity: s.identity, user: idOf(x.sealer.seal("anyone", s.identity, s.password, x.bucket().String()))}
	if name := v.Grant.Name; name != "" {
		p = person{identity: name, user: idOf(x.sealer.seal("grant", name))}
	}
	if end := v.Grant.Expires; !end.IsZero() && end.Before(until) {
		until = end
	}
	return p, until, nil
}

// refresh answers auth-refresh: the session stays the same, and so does who is in a call.
func (x *exchange) refresh() ([]byte, *problem) {
	p, until, refused := x.who(x.shown())
	if refused != nil {
		return nil, refused
	}
	if p.account != "" { // for how long others may stay was said when they came
		until = time.Now().Add(tokenLife)
	}
	return x.signedIn(p, until), nil
}

func (x *exchange) signedIn(p person, until time.Time) []byte {
	b := append([]byte(`{"record":`), userRecord(p, time.Now())...)
	b = append(b, `,"token":`...)
	b = append(b, quote(x.sealer.token(p, until))...)
	return append(b, '}')
}
