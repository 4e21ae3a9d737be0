// Package limit holds the limits that apply to strangers and clients before and beside their allocations: token buckets,
// replies to addresses that may be forged, failed authentications, and connections.
//
// Each type is given its numbers with each call, because a reload may change them. Times are nanoseconds on the caller's
// monotonic clock. Tables have a fixed size or hold live entries only, so a flood of addresses cannot make them grow.
package limit
