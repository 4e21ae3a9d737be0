// Package gateway is the front: it finds out who connects and from where, lets in who may come, and routes
// requests. One [Gateway] serves all HTTP listeners of the daemon, because what it counts (connections and
// minted credentials, per address and in total) must not depend on the listener that a client uses; [Gateway.Listener]
// makes the handler of one of them.
//
//	/  /ws                                  WebSocket upgrade: the native protocol for who asks for its
//	                                        subprotocol, the classic one for everybody else
//	/v1/hello  /v1/events  /v1/send         the native protocol without WebSockets
//	/ice  /turn  /api/turn                  ICE servers: our own, draft-uberti-behave-turn-rest-00
//	/?service=turn                          the same at the root, as the draft has it
//	/turn/credentials                       ICE servers as Janus asks for them
//	/_matrix/client/{v3,r0}/voip/turnServer ICE servers as Matrix clients ask for them
//	/2010-04-01/Accounts/ID/Tokens.json     ICE servers as Twilio's clients ask for them
//	/v1/turn/keys/ID/credentials/...        generate-ice-servers and generate: as Cloudflare's do
//	where a [Mount] says                    an adapter: the server side of others' clients
//	anything else                           the pages
//
// All of these take GET and POST, and what they take in a URL, in a form or as JSON: ttl in seconds, which can only
// lower ours, and username, which is appended to the key's name and by which quotas are counted. Twilio's Ttl and
// Cloudflare's customIdentifier are other names for the two. The answer has the members of all conventions at once, but
// for these: Twilio's and Cloudflare's have status 201; Twilio's has ttl as a string, and its refusals are its own
// (code, message, more_info, status); Cloudflare's older generate has one object for iceServers. The ID in a path is
// free, and is echoed as account_sid: who asks is known by the key, which is Twilio's auth token or Cloudflare's bearer.
//
// # Who is asking
//
// A connection's address counts, unless it is a trusted proxy's: then the right-most entry of X-Forwarded-For
// that is no trusted proxy does, over all lines of the header. Where an entry makes no sense the last hop that
// did is taken, so junk never opens a bucket of its own. X-Forwarded-Host and X-Forwarded-Proto are believed
// from the same connections. Limits count an IPv6 client by its /64.
//
// # Origins
//
// A page may connect if it comes from the host it connects to, on any port, or if its origin is on the list. No
// origin at all (what is no browser) and the origin "null" (pages from files) are let in only while access is
// by key, or on a loopback listener that the client reached by a loopback name and without a trace of a proxy.
//
// # Access
//
// With access by key a WebSocket needs ?key=K on its URL, which clients can be given without a change to
// their code, and by token ?token=T; a client signs in under the name in its token and no other. Clients of the
// native protocol may show either in their hello instead. With access by token, API keys only get ICE servers, or
// their holders could take any name. Names in other modes are for who comes first. ICE servers are for callers with an API key (query key, api or apiKey, Bearer, or the password
// of Basic), for the bearer of a token while access is by token, for the bearer of a live sign-in (the token in the login's reply), and, only while access is
// open, for requests of a page of this host. The last is told by what browsers say (Origin, Sec-Fetch-Site,
// Referer), which any other program can say too: it keeps other sites' pages from using this server, and
// nobody else.
//
// # Adapters
//
// An adapter gets the requests below its path, and a [Access] for each. It asks it who calls, has it judge what the request shows
// (with secrets that only the adapter can find, such as the key in PeerJS's URL), and counts connections in. Nobody is let in
// otherwise; in what words a refusal is told is the adapter's. ICE servers for its sign-ins come from [Gateway.SignInICE].
// cmd/icebox joins them to the gateway. No protocol imports this package, and this package imports no protocol.
//
// # What is expected of the http.Server
//
// ReadHeaderTimeout (10 s), ReadTimeout (30 s), WriteTimeout (30 s), IdleTimeout (2 min) and MaxHeaderBytes
// (16 KiB) or about that; none of them touches an upgraded connection, whose deadlines are package
// websocket's. The server's Shutdown neither waits for upgraded connections nor closes them: call
// [signal.Hub.Shutdown] after it. Request contexts are not used beyond the request.
package gateway
