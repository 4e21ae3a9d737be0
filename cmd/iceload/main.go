// Command iceload loads STUN/TURN servers and signalling servers, and measures how they perform.
//
//	iceload turn       relay packets: loss, latency, the server's CPU time per packet
//	iceload churn      create and release allocations
//	iceload memory     keep allocations: the server's memory per allocation
//	iceload compare    run icebox and coturn alternately, and print the ratios
//	iceload signal     let clients of a signalling server sign in, exchange messages, and be idle;
//	                   iceload signal compare runs icebox and a Node.js server alternately
//
// Results go to standard output, as a table or, with --json, as one JSON object. Progress and
// warnings go to standard error. With --pid, the server's process is measured as well; it must run
// on this host.
//
// The program is meant for your own servers. It refuses a server whose address is neither loopback
// nor private, unless --i-own-this-server is given.
//
// Package generator explains what the figures mean, and package procstat explains the server's CPU time. The generator
// also measures itself: it reports its own CPU time and how late it was, and warns if a figure depends more on the
// generator than on the server.
//
// The exit status is 0 on success, 2 for a wrong command line, and 1 for every other failure,
// including an interrupt.
package main

import "os"

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }
