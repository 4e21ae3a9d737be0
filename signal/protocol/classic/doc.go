// Package classic speaks the signalling protocol of countless WebRTC tutorials, so that their clients work
// without a change: JSON objects in text frames, told apart by their member "type".
//
//	client sends                                   the others and itself receive
//	{"type":"login","name":N}                      itself {"type":"login","success":true|false, ...}
//	{"type":"offer","offer":O,"name":TO}           TO     {"type":"offer","offer":O,"name":N}
//	{"type":"answer","answer":A,"name":TO}         TO     {"type":"answer","answer":A}
//	{"type":"candidate","candidate":C,"name":TO}   TO     {"type":"candidate","candidate":C}
//	{"type":"leave","name":TO}                     TO     {"type":"leave"}
//	anything else                                  itself {"type":"error", ...}
//	(the connection ends)                          who it has a call with {"type":"leave"}
//
// O, A and C are forwarded byte for byte. N in an offer is what the sender signed in as.
//
// # What these clients must not notice
//
// Members they don't know and messages of unknown type are ignored by them, so replies carry more than theirs
// did:
//
//   - a login that succeeds has "iceServers" (for RTCPeerConnection, with a credential of its own), "expires"
//     (Unix seconds), "ttl" (seconds) and "token", the bearer for ICE servers over HTTP while this client is
//     connected. If there are no ICE servers to give, "iceServers" is missing and "iceError" has a code and a
//     message;
//   - a login that fails has "code" and "message" beside "success":false;
//   - errors are {"type":"error","code":C,"message":M}, with "name" where a peer is concerned. Codes are those
//     of [signal.Error]. Refused candidates and leaves are passed over in silence, since they trickle in
//     after a call has ended and concern nobody any more.
//
// Their other habits are met too: a hang-up before any call has no name and does nothing; a second login
// under the same name succeeds again, under another name it swaps; no connection is closed for what it says,
// unless it is too large, not UTF-8, or no WebSocket frame at all.
//
// # Where this server is stricter
//
// Who isn't signed in can send nothing to others. Answers, candidates and leaves pass only between two that
// have exchanged an offer, which these clients always have ([Options.Loose] lifts it). Since a leave doesn't
// say whose it is, a client is told only of its latest correspondent's.
package classic
