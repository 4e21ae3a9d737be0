// Package coturn turns a turnserver.conf into a configuration of icebox, so
// that the clients of that coturn go on working.
//
// # What is kept
//
// Listening addresses and ports, relay addresses and ports, external addresses,
// the certificate, the realm, static users (their 0x keys too), shared secrets,
// quotas, bandwidth limits, allowed and denied peers and how much is logged.
//
// # What is told
//
// Every option that the file sets and that has no counterpart comes with the
// reason, see table.go. Options that ask for what icebox does anyway are told
// apart from those that are lost.
//
// # Where the two differ
//
//   - A peer that is both allowed and denied is allowed in coturn; here the most
//     specific rule counts. So what is allowed is cut out of what is denied.
//   - coturn relays to private addresses unless told otherwise; icebox doesn't.
//     No rule is written for that: the difference is a warning.
//   - Static users share one quota each. Where coturn has none, such a user may
//     have as many allocations as there are relay ports.
//   - With a shared secret coturn ignores static users, and so does the import.
//
// The file is read as coturn reads it: a name, then blanks or an equals sign,
// then the value; a later line of an option that takes one value wins.
package coturn
