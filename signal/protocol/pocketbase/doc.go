// Package pocketbase serves the unmodified call-by-ID demo of PocketBase: pages that make, answer and hang up a call by records in its
// collections, with its SDK (0.19 to 0.28). There is no database; what the SDK asks for is answered out of memory.
//
//	POST   /api/collections/users/auth-with-password     {"identity","password"} -> {"token","record"}
//	POST   /api/collections/users/auth-refresh           -> the same
//	GET    /api/collections/ice_servers/records          -> a page of {"url":"stun:..."}
//	POST   /api/collections/calls/records                {"user_id"}, perhaps an offer -> the call, whose id is for who shall answer
//	PATCH  /api/collections/calls/records/ID             {"offer":{type,sdp}} or {"answer":{type,sdp}} -> the call
//	GET    /api/collections/calls/records/ID             -> the call
//	DELETE /api/collections/calls/records/ID             the hang-up; 204, also if the call has ended already
//	POST   /api/collections/offer_candidates/records     {"call_id","data":{candidate,...}} -> the record, of the caller's candidate
//	POST   /api/collections/answer_candidates/records    likewise, of the answerer's
//	GET    /api/realtime                                 an event stream, which begins with PB_CONNECT and the stream's ID
//	POST   /api/realtime                                 {"clientId","subscriptions":["calls/ID","answer_candidates/*"]} -> 204
//
// All but the sign-in and the stream want the token in Authorization, as it is or as a Bearer. Errors are {"code","message","data"}. Topics
// are calls/ID, and a collection's name, with /* (SDK 0.20 and later) or without (0.19), and perhaps ?options=, which change nothing. Events
// are called by the topic as it was written. Members that are not known here are ignored.
//
// # What is mended
//
// The demo loses calls on PocketBase itself. Here, without a change to its pages:
//
//   - The answerer subscribes when the caller's candidates have long been there. Who subscribes to a topic is told at once of the records
//     that are there, as if they had just been made. (Twice is harmless: a page takes no second answer, and a candidate once.)
//   - Candidates of the answerer that come before its answer can't be applied, and are lost. They wait for the answer.
//   - The SDK aborts a request as soon as it begins another one of the same kind, and so most candidates. Those that have been sent count,
//     whether or not anybody waits for the answer. What the SDK aborts in the same moment never leaves the browser, and is lost; a page of
//     another origin loses more, because browsers ask first whether they may, until they have been told (Access-Control-Max-Age). So the
//     best place for the page is the host that serves /api, with HTTP/2; where a line can be changed, pb.autoCancellation(false) ends it.
//   - A hang-up is heard by the end of a candidate of the caller. If there is none, one ends that never was. Who is between two streams
//     meanwhile hears of it within two minutes.
//   - Everybody who is signed in is told of everybody's calls. Here, of its own: see below.
//
// # Who hears of a call
//
// A call's ID can't be guessed: who knows it and is signed in may read and answer the call, and is told of it from then on. (The eight
// who came last, that is, beside the caller.) The first answer stands. From then on the call is the caller's and the answerer's, and the
// candidates of others are dropped. Sessions count, which are sign-ins with what their tokens were refreshed to; users count as well in
// what parties do, since two tabs of one browser share the place where the SDK keeps its token, and a sign-in in one replaces the other's. As
// in the tutorial, all pages may be one user: then knowing the ID is all there is.
//
// The name space is this package's own: no client of another protocol reaches these, or the other way.
//
// # Who signs in
//
// Users are the configuration's, by password or by its bcrypt hash; they sign in whatever signal.access is for other protocols, from pages of
// any admitted origin and from programs. With anyone: true, everybody whom signal.access lets in signs in as well, under any identity
// that is not a user's:
//
//	open   with any password, from a page of an admitted origin
//	key    with an API key as the password
//	jwt    with a token as the password; its name counts, not the identity, and it must not be limited to certain calls
//
// Such a user is the same for the same identity, password and address (IPv6: /64); there is no account, so it must not be relied on that
// nobody else is.
//
// A token is signed with a key derived from the daemon's secret, good for 24 hours (of a JWT: no longer than that), and outlives restarts. It
// ends when the user is taken out of the configuration or gets another password. Streams end with the token. Refreshing works for users,
// while others get the same end.
//
// Wrong passwords are limited to 30 a minute from an address and 100, then one a second, for an identity; who shows an earlier token of
// that user, as the SDK does by itself, is not kept out by what others guess. Two hashes are compared at a time, sixteen wait.
//
// # The relay
//
// The page makes its RTCPeerConnection of URLs alone, which throws with turn: URLs, so ice_servers has stun: only. The line that gives a page
// the relay replaces `const servers = ...`:
//
//	const servers = await (await fetch("https://turn.example.org/ice", {headers: {Authorization: "Bearer " + pb.authStore.token}})).json();
//
// It is good with every access: a token of this package is enough (see [Handler.Bearer]).
//
// # Ends and limits
//
// A call ends with a hang-up of either party, when its maker has had no stream for a minute, when nobody has answered for
// signal.calls.unjoined, and after a day. It counts against signal.calls: total, per_client (of a session), one_per_user, kept (bytes of a
// call's records, 256 for each record included), kept_total and kept_per_address (of all calls that were made there, apart from what native
// calls keep); a user and an address have at most a sixteenth of total, or 64. A page that is reloaded leaves a call behind: at a limit, calls
// whose maker has gone make room. A side has 128 candidates at most. An address sends four times as fast as signal.limits allows one
// client, and 16 KiB of a request count as one more. Streams count as connections, eight are heard in a session; one that doesn't say within 30 s what it wants is ended, and so is one that is read too
// slowly (see package signal). The SDK opens another one. Calls are this process's: after a restart, running calls go on without hang-up.
package pocketbase
