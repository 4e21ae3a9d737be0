// Package coturn converts a turnserver.conf to a configuration of icebox with which the clients of that coturn work.
//
// # Translated options
//
// The import translates listening addresses and ports, relay addresses and ports, external addresses, the certificate, the realm,
// static users (including those with a 0x key), shared secrets, quotas, bandwidth limits, allowed and denied peers and the log
// level.
//
// # Notes
//
// For every other option in the file, the result has a note with the reason, see table.go. Options for things that
// icebox always does are listed separately from options without a counterpart.
//
// # Differences
//
//   - coturn allows a peer that is both allowed and denied. In icebox the most specific rule counts. So the import removes the
//     allowed addresses from the denied ranges.
//   - coturn relays to private addresses unless they are denied. icebox does not. The import writes no rule for them, only a
//     warning.
//   - All clients of a static user share its quota. If coturn has no quota, the import allows as many allocations for each static
//     user as there are relay ports.
//   - coturn ignores static users if there is a shared secret. So does the import.
//
// The file is parsed as coturn does: a name, then blanks or an equals sign, then the value. If an option that takes one value has
// several lines, the last one counts.
package coturn
