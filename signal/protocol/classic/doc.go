// Package classic serves the signalling protocol of many WebRTC tutorials. Clients of that protocol work unmodified.
// Messages are JSON objects in text frames. Their member "type" tells them apart.
//
//	client sends                                   the server then sends
//	{"type":"login","name":N}                      to the client {"type":"login","success":true|false, ...}
//	{"type":"offer","offer":O,"name":TO}           to TO         {"type":"offer","offer":O,"name":N}
//	{"type":"answer","answer":A,"name":TO}         to TO         {"type":"answer","answer":A}
//	{"type":"candidate","candidate":C,"name":TO}   to TO         {"type":"candidate","candidate":C}
//	{"type":"leave","name":TO}                     to TO         {"type":"leave"}
//	anything else                                  to the client {"type":"error", ...}
//	(the connection ends)                          to its peer   {"type":"leave"}
//
// O, A and C are forwarded byte for byte. N in an offer is the name that the sender signed in with.
//
// # Members that this server adds
//
// The clients ignore members and message types that they do not know, so replies can carry more than those of the tutorials'
// servers:
//
//   - A successful login has "iceServers" (for RTCPeerConnection, with a credential for this client), "expires" (the
//     credential's expiry in Unix seconds), "ttl" (its lifetime in seconds) and "token". The token is a bearer token for
//     ICE servers over HTTP; it is valid while this client is connected. If the server cannot provide ICE servers,
//     "iceServers" is missing, and "iceError" has a code and a message.
//   - A failed login has "code" and "message" beside "success":false.
//   - An error is {"type":"error","code":C,"message":M}, with "name" if it concerns a peer. The codes are those of
//     [signal.Error].
//
// # Habits of the clients that this server accepts
//
//   - A leave before any call has no name. The server ignores it.
//   - A second login with the same name succeeds again. A login with another name replaces the first name.
//   - Candidates and leaves often arrive after a call has ended. If the server refuses such a message, it does not tell the
//     client.
//   - A message is never a reason to close a connection, unless it is too large, is not UTF-8, or breaks the WebSocket
//     protocol.
//
// # Where this server is stricter
//
// A client that is not signed in cannot send anything to others. Answers, candidates and leaves are forwarded only between
// two clients that have exchanged an offer, which these clients always do first ([Options.Loose] removes this condition). A
// leave does not name its sender. So the server sends a client only the leave of the peer that it exchanged an offer with
// last.
package classic
