// Package endpoints determines the addresses, names and URIs by which clients reach this host.
//
// The daemon needs them for its listeners, for the ICE servers that it gives to clients and for its certificate. The
// commands credential, doctor and check need the same values without a running daemon, so they are derived from the
// configuration and the host's addresses alone.
package endpoints
