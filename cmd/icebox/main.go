// Command icebox is a STUN/TURN server and a WebSocket signalling hub in one
// daemon.
//
//	icebox serve              run the daemon
//	icebox check              report every mistake in the configuration
//	icebox reload             have the daemon read its configuration again
//	icebox drain              end the daemon once its calls have ended
//	icebox credential NAME    mint a TURN credential
//	icebox healthcheck        exit with 0 if the daemon is well
//	icebox import-coturn FILE  turn coturn's configuration into one of icebox
//	icebox version
//
// This package composes: it alone reads the environment, prints, and imports
// package config; it opens the sockets and hands them to packages turnserver
// and signal, which know nothing of each other. What only the daemon needs and
// is more than a file is a package below.
//
// Exit status: 0 when all went well, 2 when the command line or the
// configuration is wrong, 1 for every other failure. A second SIGTERM or SIGINT
// exits with 1 at once; the first one after icebox drain shortens its deadline
// to shutdown.drain. SIGHUP reloads.
package main

import "os"

func main() { os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr)) }
