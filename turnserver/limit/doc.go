// Package limit has a token bucket, and limits for replies to addresses that may be forged, for failed authentications,
// and for connections.
//
// The caller passes the limits with each call, because a reload may change them. Times are in nanoseconds on the
// caller's monotonic clock. Tables have a fixed size or hold live connections only, so a flood of addresses cannot make
// them grow.
package limit
