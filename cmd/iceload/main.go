// Command iceload loads STUN/TURN servers and signalling servers, and measures what they do.
//
//	iceload turn       relay packets: loss, latency, the server's CPU for each packet
//	iceload churn      make and release allocations
//	iceload memory     hold allocations: the server's memory for each
//	iceload compare    run icebox and coturn in turn, and print the ratios
//	iceload signal     have clients of a signalling server sign in, send each other messages, and be idle;
//	                   iceload signal compare runs icebox and a server on Node in turn
//
// Figures go to standard output, as a table or with --json as one JSON object; progress
// and warnings go to standard error. With --pid, the server's process is measured: then
// it must run on this host.
//
// It is meant for servers of one's own. A server whose address is neither loopback nor
// private is refused, unless --i-own-this-server is given.
//
// What each figure means is said in package generator, and of the server's CPU time
// in package procstat. The measure of trust is the generator itself: it reports its own
// CPU time and how late it was, and warns when a figure says more about it than about
// the server.
//
// Exit status: 0 when all went well, 2 when the command line is wrong, 1 for every
// other failure, interruption included.
package main

import "os"

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }
