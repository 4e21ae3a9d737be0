package pocketbase

import (
	"crypto/rand"
	"errors"
	"time"

	"icebox/signal"
)

// signIn serves auth-with-password. The request may carry a token too, because the SDK stores the token of an earlier page
// load and sends it with every request. An invalid token is not a reason to refuse the sign-in.
func (req *request) signIn() ([]byte, *problem) {
	body, refused := req.read(maxSignIn)
	if refused != nil {
		return nil, refused
	}
	s, ok := decodeCredentials(body)
	if !ok {
		return nil, problemPassword
	}
	earlier, _, invalid := req.authenticate(req.requestToken())
	proven := invalid == nil && earlier.account != "" && earlier.identity == s.identity
	counted, ok := req.attempts.allowAttempt(req.addrKey(), s.identity, proven)
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
	counted.refund()
	if refused != nil {
		return nil, refused
	}
	p.signInID = rand.Text()
	req.metrics.signIns.Inc()
	return req.signedIn(p, until), nil
}

// signInVisitor signs in a visitor whose identity is not configured, by the rules of signal.access: the password is then the
// API key or the JSON Web Token. Sign-ins with a token are the same user if their tokens have the same name. All others are
// the same user if they have the same identity, password and address. The returned expiry is until or, if it is earlier, the
// token's.
func (req *request) signInVisitor(s credentials, until time.Time) (person, time.Time, *problem) {
	v, err := req.access.Authorize(s.password)
	switch {
	case errors.Is(err, signal.ErrOrigin):
		return person{}, until, problemAccessDenied
	case err != nil:
		return person{}, until, problemPassword
	case v.Grant.Limited: // to calls with given IDs; the IDs of these calls are random, so the token allows none of them
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

// refresh serves auth-refresh. The new token has the same sign-in ID as the old one, so the client remains a party to its
// calls.
func (req *request) refresh() ([]byte, *problem) {
	p, until, refused := req.authenticate(req.requestToken())
	if refused != nil {
		return nil, refused
	}
	if p.account != "" { // a visitor keeps the expiry that was set when it signed in
		until = time.Now().Add(tokenLife)
	}
	return req.signedIn(p, until), nil
}

// signedIn returns the body of the response to a sign-in or refresh.
func (req *request) signedIn(p person, until time.Time) []byte {
	b := append([]byte(`{"record":`), userRecord(p, time.Now())...)
	b = append(b, `,"token":`...)
	b = append(b, quote(req.signer.sign(p, until))...)
	return append(b, '}')
}
