// Package daemon is the composition root of icebox. It connects packages turnserver, signal and config, which do not
// import one another.
//
// [Start] works in phases: state directory and certificate, sockets, admin API, relay, hub, web servers. Each phase
// uses the results of earlier phases. If a phase fails, Start undoes all of them.
//
// [Daemon.Run] is the control goroutine. It handles signals and the requests of the admin API one at a time. No other
// goroutine reloads the configuration or shuts the daemon down.
//
// The package does not print, exit or read the environment. The command serve does that.
package daemon
