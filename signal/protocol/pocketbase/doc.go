// Package pocketbase lets the PocketBase demo of calls by ID work unmodified: its pages create, answer and end a call by
// writing records to collections through the PocketBase SDK (0.19 to 0.28). There is no database. The package keeps calls in
// memory and serves only the endpoints that the demo needs:
//
//	POST   /api/collections/users/auth-with-password     {"identity","password"} -> {"token","record"}
//	POST   /api/collections/users/auth-refresh           -> {"token","record"}
//	GET    /api/collections/ice_servers/records          -> a page of {"url":"stun:..."}
//	POST   /api/collections/calls/records                {"user_id"}, optionally with an offer -> the call with its ID
//	PATCH  /api/collections/calls/records/ID             {"offer":{type,sdp}} or {"answer":{type,sdp}} -> the call
//	GET    /api/collections/calls/records/ID             -> the call
//	DELETE /api/collections/calls/records/ID             hangs up; 204, even if the call has already ended
//	POST   /api/collections/offer_candidates/records     {"call_id","data":{candidate,...}} -> the record; a candidate of the creator
//	POST   /api/collections/answer_candidates/records    the same for a candidate of the answerer
//	GET    /api/realtime                                 an event stream; its first event, PB_CONNECT, carries the stream's ID
//	POST   /api/realtime                                 {"clientId","subscriptions":["calls/ID","answer_candidates/*"]} -> 204
//
// The creator of a call gives its ID to the user who is to answer it.
//
// Every request except the sign-in and the opening of a stream needs the token in its Authorization header, either alone or
// as a Bearer token. Errors are {"code","message","data"}. Unknown members of a request are ignored.
//
// A topic is calls/ID, or the name of a collection with /* (SDK 0.20 and later) or without it (SDK 0.19). It may end with
// ?options=..., which is ignored. An event is named after the topic exactly as the client wrote it.
//
// # Races of the demo that this package prevents
//
// With PocketBase's own server, the demo loses calls because of races. This package prevents them, although the demo's
// pages are unchanged:
//
//   - The answerer subscribes long after the creator's candidates were stored. The server therefore sends the existing
//     records to a new subscription, as if they had just been created. Repetition is harmless: a page accepts one answer,
//     and each candidate once.
//   - The browser cannot apply a candidate of the answerer before it has the answer, so the candidate would be lost. The
//     server holds it back until the answer has been sent.
//   - The SDK aborts a request when it starts another one of the same kind, so it aborts most requests that create
//     candidates. A request that reaches the server takes effect even if the client no longer waits for the response. A
//     request that the SDK aborts before the browser sends it is lost. Pages of another origin lose more requests, because
//     the browser sends a preflight request before each of them, until it has cached the result (Access-Control-Max-Age).
//     So serve the page from the host that serves /api, over HTTP/2; if you can change one line of the page,
//     pb.autoCancellation(false) avoids the problem.
//   - The answerer recognizes a hang-up by the deletion of one of the creator's candidates. If the creator has sent none,
//     the server announces the deletion of a candidate that never existed. If the answerer is reconnecting at that moment,
//     the server sends it the deletion when it subscribes again within two minutes.
//   - On PocketBase, every user who is signed in receives the events of all calls. Here each user receives those of its own
//     calls only; see the next section.
//
// # Reading and answering a call
//
// A call's ID cannot be guessed. Any user who is signed in and knows the ID may read and answer the call, and receives its
// events from then on. Apart from the creator, only the eight most recent of these readers receive events. The first user
// to answer becomes the answerer. From then on the call belongs to its creator and its answerer alone: other readers get no
// more events, the server drops their candidates, and they cannot answer the call.
//
// The server tells clients apart by their sign-ins. A token that was refreshed belongs to the same sign-in as the original.
// Two sign-ins of the same user may act for each other, because two tabs of one browser share the place where the SDK keeps
// its token, so that a sign-in in one tab replaces the token of the other. In the demo all pages may sign in as one user;
// then knowing the ID is the only protection.
//
// Clients of other protocols can neither reach these calls nor be reached from them.
//
// # Signing in
//
// The users in the configuration sign in with a password, which the configuration holds in plain text or as a bcrypt hash.
// They may sign in from programs and from pages of any admitted origin. The value of signal.access, which the other
// protocols obey, does not matter for them.
//
// With anyone: true, every client that signal.access admits may sign in too, under any identity that does not belong to one
// of those users:
//
//	open   with any password, from a page of an admitted origin
//	key    with an API key as the password
//	jwt    with a JSON Web Token as the password. The name in the token counts, not the identity. A token that is limited to
//	       certain calls is refused.
//
// With open or key, sign-ins with the same identity and password from the same address (IPv6: the same /64) are the same
// user. Such a user has no account, so several people may be the same user.
//
// Tokens are signed with a key derived from the daemon's secret, so they survive restarts. They expire after 24 hours, and
// at the latest when the JSON Web Token that was used to sign in expires. A token also becomes invalid when its user is
// removed from the configuration or gets another password. A stream ends with the token that it subscribed with. Refreshing
// gives a configured user another 24 hours; any other user gets a token with the same expiry as before.
//
// Failed sign-ins are limited to 30 a minute for an address, and to 1 a second after the first 100 for an identity. A
// client that also sends an earlier token of the user, as the SDK does by itself, is exempt from the limit of the identity,
// so nobody can lock it out by guessing. If any configured password is a bcrypt hash, at most two sign-ins compare
// passwords at a time, and at most 14 more wait, each for up to 5 s. A further sign-in, or one that would wait longer, gets
// status 503.
//
// # TURN
//
// The demo creates its RTCPeerConnection from URLs alone. The constructor throws if a turn: URL has no credential, so
// ice_servers lists only stun: URLs. To use the relay, replace the page's line `const servers = ...` by:
//
//	const servers = await (await fetch("https://turn.example.org/ice", {headers: {Authorization: "Bearer " + pb.authStore.token}})).json();
//
// A token of this package is sufficient with every value of signal.access (see [Handler.Bearer]).
//
// # When calls end
//
// A call ends when either party hangs up, when its creator has had no stream for one minute, when nobody has answered it
// for signal.calls.unjoined, and 24 hours after its creation. Calls are kept in the memory of one process. After a restart,
// media continues to flow, but a hang-up no longer reaches the other side.
//
// # Limits
//
// The limits of signal.calls apply to these calls separately from those of the native protocol:
//
//	total             calls in all; one user and one address may each have 1/16 of it, or 64 if that is more
//	per_client        calls of one sign-in
//	one_per_user      limits each user to one call
//	kept              bytes of one call's records; each record counts 256 bytes more than its content
//	kept_total        bytes of all calls
//	kept_per_address  bytes of all calls that were created from one address
//
// A page that is reloaded leaves its call behind. At a limit, a new call therefore replaces the oldest call of the same user
// whose creator has been without a stream for 5 s. Each side of a call may have 128 candidates.
//
// One address may send four times as many requests as signal.limits allows one client to send messages. Every 16 KiB of a
// request's body count as one more request.
//
// A stream counts as a connection. A sign-in may have eight streams; a further one ends the oldest. A stream also ends if it
// does not subscribe within 30 s, or if its client reads too slowly (see package signal). The SDK then opens another one.
package pocketbase
