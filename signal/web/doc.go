// Package web serves the pages that icebox brings along: a call page at "/"
// and a trickle-ICE page at "/trickle-ice/". They are for seeing that a server
// works, for small private calls, and as an example of a client.
//
// # Decisions
//
// The files under static are embedded and served as they are: no build step,
// no template, no script or font from anywhere else. They are small ES modules,
// typed by JSDoc comments, so that a browser's own debugger shows the source.
//
// The pages hold no privilege. The call page uses the browser SDK and nothing
// else of the server, the trickle-ICE page fetches "ice" beside it, and both pass
// the "key" parameter of their own URL on. Every URL in a page is relative, so
// that a proxy may serve icebox below a prefix.
//
// The SDK is static/sdk, served at /sdk/icebox.js as it is: ES modules, types, and
// a package.json, so that the folder can be published. It speaks the protocol of
// package native; its README.md says what it adds to that. Pages of other origins may
// import it, and connect if the server lets their origin in.
//
// Every answer carries a Content-Security-Policy that allows nothing but this
// origin: no inline script or style, no eval, no framing. Because a page is
// opened as "/?key=...", no Referer is ever sent.
//
// Nothing is cached without asking (Cache-Control: no-cache with an ETag of the
// content): modules import each other by plain names, and a browser must never
// mix the modules of two versions.
package web
