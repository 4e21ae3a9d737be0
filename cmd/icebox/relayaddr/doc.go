// Package relayaddr chooses the addresses of this host that the relay uses.
//
// # Why not every address
//
// Most clients, browsers among them, ask for no address family. They get an IPv4
// address if the relay has one (RFC 8656 section 7.2). Every host has 127.0.0.1,
// and many have the address of a container bridge. A relay that counts those
// sends the clients of an IPv6-only host to an address that no peer can reach.
//
// # Order
//
// [Choose] uses the first of these steps that finds an address:
//
//  1. The addresses of turn.relay_addresses, and no others.
//  2. The usable addresses: those of interfaces that have a default route of the address's family. Private addresses
//     are included, because hosts on a LAN or behind a NAT have no others; loopback and link-local addresses are not.
//     Configured addresses of any kind are added: the private side of each external_ip pair, and each address that
//     turn.listen names, unless a proxy or a NAT stands in front of that listener (proxy_protocol or public). A client
//     that reaches such an address proves that packets arrive there.
//  3. The last resort, if no interface of either family leads to a default route and nothing is configured: all other
//     addresses, except those of steps 4 and 5. An isolated LAN is an example. If some of them are not private, the
//     private ones are left out, because they may belong to a container bridge.
//  4. If there are none of those either, the IPv4 link-local addresses.
//  5. If there are none of those either, the loopback addresses.
//
// Steps 3 to 5 look at both families together. An IPv6-only host with a container
// bridge therefore relays from its IPv6 addresses alone, and an IPv4-only host
// never relays from ::1. Steps 3 to 5 come with a warning for the operator.
//
// Choose never uses an IPv6 link-local address, because the daemon cannot tell a client its zone.
//
// # Default routes
//
// An interface has a default route if any routing table holds one for it, so a
// host with a table for each uplink may relay from each. The interface of the
// address that the kernel itself would send from counts as well. That covers
// hosts whose default is split into two routes or is 2000::/3, and systems whose
// routing tables this package does not read.
package relayaddr
