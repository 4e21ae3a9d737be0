// Package daemon is the composition root of icebox. It joins packages turnserver, signal and config, which do not know one
// another.
//
// [Start] works in phases: state directory and certificate, sockets, admin API, relay, hub, web servers. Each phase uses what
// the earlier ones have made. A failure undoes all of them.
//
// [Daemon.Run] is the control goroutine: it handles signals and the requests of the admin API one at a time, and so is the
// only one that reloads or shuts down.
//
// The package neither prints, nor exits, nor reads the environment: the command serve does.
package daemon
