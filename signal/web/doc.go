// Package web serves the pages that come with icebox: a call page at "/" and a trickle-ICE page at "/trickle-ice/". They show
// that a server works, serve for small private calls, and are an example of a client.
//
// # Decisions
//
// The files under static are embedded and served unchanged. There is no build step and no template, and no script or font
// comes from another host. The scripts are small ES modules with types in JSDoc comments, so the browser's debugger shows the
// source.
//
// The pages have no special rights. The call page uses only the browser SDK to reach the server, and the trickle-ICE page
// fetches "ice" next to itself. Both pass on the "key" parameter of their own URL. All URLs in a page except the 404 page are
// relative, so a proxy may serve icebox below a path prefix.
//
// The browser SDK is in static/sdk and is served at /sdk/icebox.js: ES modules, type declarations, and a package.json with
// which the folder can be published. It speaks the protocol of package native, and its README.md documents what it adds to
// that protocol. Pages of any origin may import it. They can connect only if the server allows their origin.
//
// Every response carries a Content-Security-Policy that allows this origin only and forbids inline scripts, inline styles,
// eval and framing. No page ever sends a Referer, because the URL of a page contains its key ("/?key=...").
//
// A browser revalidates every file before it uses its cached copy (Cache-Control: no-cache, with an ETag of the content).
// The modules import each other by names without a version, and a browser must never mix modules of two versions.
package web
