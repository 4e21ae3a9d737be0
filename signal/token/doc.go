// Package token verifies JSON Web Tokens (RFC 7519) and keeps the keys for it. A token says who its bearer is, so
// nobody can sign in as somebody else.
//
// # What a token must have
//
// A signature by one of the keys, "exp", and a name: the claim that [Options.NameClaim] names, "sub" by default,
// because an issuer vouches for its being unique ("name" is what people call themselves). "nbf" counts if it is there,
// "iss" and "aud" have to match where the options say so. Clocks may differ by 30 s.
//
// The claim "calls" (or what [Options.CallsClaim] names), a list of IDs, limits its bearer to these calls; without it any call may be made and
// joined. What was granted ends with the token.
//
// # Keys
//
// A key says which algorithm it is for, whatever the token says: a secret is for HS256, an RSA key for RS256, a
// P-256 key for ES256, an Ed25519 key for EdDSA. So a public key can't be taken for a secret. A key
// with an ID is only for tokens with that ID, or with none.
//
// Keys come from the options and from a JSON Web Key Set (RFC 7517) at a URL. The set is fetched when it is first needed,
// when it is 10 minutes old, and when a token has a key ID that isn't in it, but not more often than every 10 s. When it
// can't be fetched the old keys are good for another day. Secrets in a set at a URL are ignored: they would be none.
package token
