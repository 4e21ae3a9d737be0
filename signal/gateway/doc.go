// Package gateway is the HTTP front of the hub. It identifies each caller and its address, decides whether the caller may
// connect, and routes the request. One [Gateway] serves all HTTP listeners of the daemon, because its limits (connections and
// minted credentials, per address and in total) must not depend on which listener a client uses. [Gateway.Listener] returns
// the handler of one listener.
//
//	/  /ws                                  WebSocket upgrade: the native protocol if the client asks for its subprotocol,
//	                                        otherwise the classic one
//	/v1/hello  /v1/events  /v1/send         the native protocol without WebSockets
//	/ice  /turn  /api/turn                  ICE servers: icebox's own path, and draft-uberti-behave-turn-rest-00
//	/?service=turn                          the same at the root, as the draft has it
//	/turn/credentials                       ICE servers for Janus
//	/_matrix/client/{v3,r0}/voip/turnServer ICE servers for Matrix clients
//	/2010-04-01/Accounts/ID/Tokens.json     ICE servers for clients of Twilio
//	/v1/turn/keys/ID/credentials/...        generate-ice-servers and generate, for clients of Cloudflare
//	the paths of a [Mount]                  a protocol of other projects
//	anything else                           the pages
//
// The paths for ICE servers accept GET and POST. There are two parameters, which may be in the URL, in a form or in a JSON
// object. ttl is the lifetime in seconds; it can only shorten the configured one. username is appended to the name of the
// API key, and quotas count by the result. Twilio's Ttl and Cloudflare's customIdentifier are other names for these two.
// The response has the members of all conventions at once, with these exceptions: for Twilio and Cloudflare its status is
// 201; for Twilio ttl is a string and errors have Twilio's members (code, message, more_info, status); for Cloudflare's
// older generate iceServers is one object. The ID in a path may be anything. For Twilio it is returned as account_sid. The
// key identifies the caller: it is Twilio's auth token or Cloudflare's bearer token.
//
// # The caller
//
// The caller's address is that of the connection. If that belongs to a trusted proxy, it is instead the right-most address
// in X-Forwarded-For, over all lines of the header, that does not belong to a trusted proxy. If an entry is malformed, the
// address to the right of it counts, so malformed entries never get a rate limit of their own. X-Forwarded-Host and
// X-Forwarded-Proto are trusted on the same connections. Limits count all IPv6 addresses in one /64 as one address.
//
// # Origins
//
// A page may connect if it comes from the host that it connects to, on any port, or if its origin is on the list. A request
// without an origin (not from a browser) and one with the origin "null" (a page from a file) may connect only while access is
// by key or token, or on a loopback listener that the client reached by a loopback name and without any sign of a proxy.
//
// # Access
//
// With access by key, a WebSocket needs ?key=K in its URL, so the client's code stays the same. With access by token it
// needs ?token=T, and the client signs in under the name in its token and under no other. Clients of the native protocol
// may instead show either of them in their hello. With access by token, API keys only get ICE servers, because a holder of
// a key could otherwise take any name. In the other modes, the first client that asks for a name gets it.
//
// The gateway gives ICE servers to these callers:
//
//   - one with an API key: as the parameter key, api or apiKey, as a Bearer token, or as the password of Basic;
//   - one with a token of access, as a Bearer token, while access is by token;
//   - one with the token of a live sign-in, which is in the reply to the login;
//   - a page of this host, while access is open. Browsers show this by the headers Origin, Sec-Fetch-Site and Referer.
//     Other programs can forge these headers, so this check stops pages of other sites only.
//
// # Mounts
//
// A mounted protocol gets the requests below its paths, and an [Access] for each. With the Access, the protocol finds out
// the caller's address and host, checks the secrets of the request (including those that only the protocol can find, such
// as the key in PeerJS's URL), and counts the connection. A protocol has no other way to admit a client. The protocol
// reports a refusal in its own format. [Gateway.SignInICE] gives ICE servers to its sign-ins. cmd/icebox mounts the
// protocols: no protocol imports this package, and this package imports no protocol.
//
// # Requirements on the http.Server
//
// The http.Server should have about these limits: ReadHeaderTimeout 10 s, ReadTimeout 30 s, WriteTimeout 30 s, IdleTimeout
// 2 min, MaxHeaderBytes 16 KiB. They do not apply to an upgraded connection, whose deadlines package websocket sets. The
// server's Shutdown neither waits for upgraded connections nor closes them: call [signal.Hub.Shutdown] after it. The
// gateway does not use a request's context after the request.
package gateway
