// Package credential mints and verifies the usernames and passwords that TURN clients authenticate with. It does no I/O
// and does not parse packets. The caller passes Verify a function that checks MESSAGE-INTEGRITY with a key.
//
// # Kinds
//
// A username belongs to one of three kinds. Verify tries them in this order:
//
//  1. Static: it equals the name of a configured user, byte for byte. Such a name takes precedence over a time-limited
//     username with the same spelling. So the name of a static user may have any form, including digits and colons.
//  2. Own: expiry ":" user "." id, signed with the daemon's own secret. Minter makes these. id is a random 64-bit
//     number in lower-case base32 (13 characters of a-z2-7, RFC 4648 section 6, no padding), so that no two sign-ins
//     share a credential and each can be revoked alone. MintFor appends the origin to id. user is percent-encoded:
//     every byte except ASCII letters, digits and -_~@ becomes %XX. So the last '.' and the first ':' are always the
//     separators, and OpaqueString (RFC 8265) does not change the username.
//  3. Foreign: a username that another application has made for coturn or a similar server
//     (draft-uberti-behave-turn-rest-00). It is signed with a secret that the operator shares with that application.
//     Its form is "expiry", "expiry:id", or "id:expiry" where the text before the first colon is not all digits. If the
//     text before the first colon is all digits, it is the expiry; otherwise the expiry follows the last colon.
//
// expiry is in seconds since 1970. The password of both time-limited kinds is base64(HMAC-SHA1(secret, username)) over
// the whole username, in the standard alphabet with padding. The secret that verifies the password decides between own
// and foreign; the form of the username does not. Verify tries the own secret only on usernames of the own form, and no
// shared secret may equal it.
//
// # Decisions
//
//   - Quotas count by Identity.User. For own credentials it is the decoded user. For foreign ones it is the id, which
//     is everything after the first colon ("expiry:a:b" has the id "a:b") or before the last one. If there is no user
//     or id, it is the whole username, so that anonymous clients do not share one quota. Users of different kinds may
//     have the same name, so quotas must count by Kind and User.
//   - An expired username still verifies. The server compares Identity.Expires with the clock on Allocate only, because
//     a live session may be refreshed after that time.
//   - Verify refuses an expiry further ahead than MaxFuture, no matter which secret signed it, because a leaked
//     credential must not be valid for ever.
//   - Keys are MD5(username ":" realm ":" password), RFC 8489 section 9.2.2, of the bytes as they are. OpaqueString is
//     not applied, because it does not change ASCII, and clients that apply it send the result as the username.
//   - For an unknown username, Verify makes one check with a random key, as for a known one, so that the response time
//     does not reveal which users exist. The caller's check must compare HMACs in constant time.
package credential
