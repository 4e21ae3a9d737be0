// Package token verifies JSON Web Tokens (RFC 7519) and manages the keys for that. A token determines the name of its bearer,
// so no client can sign in under the name of another user.
//
// # Requirements on tokens
//
// A token must have a signature by one of the keys, the claim "exp", and a name. The name is the claim [Options.NameClaim],
// by default "sub", because issuers make "sub" unique ("name" is a display name, which two users may share). "nbf" is
// respected if present. "iss" and "aud" must match if [Options.Issuer] and [Options.Audience] are set. The issuer's clock
// and this server's may differ by 30 s.
//
// The claim "calls", or the one that [Options.CallsClaim] names, is a list of call IDs. The bearer may create and join
// these calls only. Without the claim, it may create and join any call. All rights end when the token expires.
//
// # Keys
//
// The key determines the algorithm, not the token: a secret is for HS256, an RSA key for RS256, a P-256 key for ES256, and an
// Ed25519 key for EdDSA. So an attacker cannot make the verifier use a public key as a secret. A key with an ID is used only
// for tokens with the same key ID or without one.
//
// Keys come from the options and from a JSON Web Key Set (RFC 7517) at a URL. The set is fetched when it is first needed,
// when it is 10 minutes old, and when a token has a key ID that is not in the set, but at most every 10 s. If a fetch
// fails, the Verifier uses the keys of the last successful fetch until they are 24 hours old. The Verifier ignores
// symmetric keys in a set at a URL, because anybody who can fetch the set knows them.
package token
