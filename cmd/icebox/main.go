// Command icebox is a STUN/TURN server and a WebSocket signalling hub in one
// daemon.
//
//	icebox serve               run the daemon
//	icebox check               report every mistake in the configuration
//	icebox reload              make the daemon read its configuration again
//	icebox drain               end the daemon once its calls have ended
//	icebox credential NAME     mint a TURN credential
//	icebox doctor              find problems of the host, and say how to fix them
//	icebox healthcheck         exit with 0 if the daemon is healthy
//	icebox import-coturn FILE  convert a configuration of coturn
//	icebox version             print the version
//
// Package main has the commands, one file each. No other package reads the environment or prints. Package daemon does
// the work of serve: it opens the sockets and connects packages turnserver and signal, which do not import each other.
//
// The exit status is 0 on success, 2 if the command line or the configuration is wrong, and 1 for every other failure.
// SIGHUP reloads. SIGTERM and SIGINT shut the daemon down; a second one exits with 1 at once. After icebox drain, the
// first of these signals only shortens the drain to shutdown.drain.
package main

import "os"

func main() { os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr)) }
