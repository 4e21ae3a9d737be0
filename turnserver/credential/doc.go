// Package credential mints and verifies the usernames and passwords that TURN
// clients authenticate with. It does no I/O and knows no packet: the caller
// hands Verify a function that tests MESSAGE-INTEGRITY under a key.
//
// # Kinds
//
// A username belongs to one of three kinds, tried in this order:
//
//  1. Static: it equals the name of a configured user, byte for byte. Such a
//     name shadows any time-limited username of the same spelling, so the name
//     of a static user may look like anything, digits and colons included.
//  2. Own: expiry ":" user "." id, signed with the daemon's own secret. Minter
//     makes these. id is a random 64-bit number in lower-case base32 (13
//     characters of a-z2-7, RFC 4648 section 6, no padding), so that no two
//     sign-ins share a credential and one can be revoked alone. user is
//     percent-encoded: all but ASCII letters, digits and -_~@ becomes %XX,
//     hence the last '.' and the first ':' are always the separators, and
//     OpaqueString (RFC 8265) leaves the username as it is.
//  3. Foreign: what the coturn world issues (draft-uberti-behave-turn-rest-00),
//     signed with a secret that the operator shares with another application:
//     "expiry", "expiry:id", or "id:expiry" where id is not all digits. Digits
//     up to the first colon are the expiry, else the digits after the last one.
//
// expiry is in seconds since 1970. The password of both time-limited kinds is
// base64(HMAC-SHA1(secret, username)), the padded standard alphabet, over the
// whole username. The secret under which the password holds tells own from
// foreign, never the look of the username: the own secret is tried on the own
// form only, and no shared secret may equal it.
//
// # Decisions
//
//   - Quotas count by Identity.User: the decoded user of own credentials; for
//     foreign ones the id, which is everything after the first colon
//     ("expiry:a:b" is "a:b") or before the last one; where there is no user or
//     id, the whole username, so that anonymous clients don't share one quota.
//     Users of different kinds may share a name: count by Kind and User.
//   - An expired username still verifies. Whoever allocates compares
//     Identity.Expires with the clock; a live session may refresh past it.
//   - An expiry further ahead than MaxFuture is refused, whoever signed it: a
//     leaked credential must not be good for ever.
//   - Keys are MD5(username ":" realm ":" password), RFC 8489 section 9.2.2, of
//     the bytes as they are. OpaqueString is not applied: for ASCII it changes
//     nothing, and clients that apply it send the prepared username anyway.
//   - A username that nobody has costs one check under a random key, as a known
//     one does, so that the time of an answer doesn't tell which users exist.
//     Comparing the HMACs in constant time is the caller's part.
package credential
