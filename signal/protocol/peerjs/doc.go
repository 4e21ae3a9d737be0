// Package peerjs is the server side of PeerJS clients (1.x), unmodified: they are given icebox's host in place of a PeerServer.
//
// Below its path, /peerjs unless the operator says otherwise, an adapter answers both to clients that were given that path
// (`new Peer(id, {host, path: '/peerjs'})`) and, at /peerjs, to those that were given none:
//
//	GET  /peerjs/KEY/id      or /peerjs/id       a fresh id (UUID), as text
//	GET  /peerjs/KEY/peers   or /peerjs/peers    the ids that are there, as JSON; 401 unless discovery is on
//	GET  /peerjs/                                what this is, as JSON
//	WS   /peerjs/peerjs      or /peerjs          with ?key=K&id=ID&token=T
//
// On the WebSocket are JSON objects in text frames:
//
//	server  {"type":"OPEN"}                                  the id is the client's
//	        {"type":"ID-TAKEN","payload":{"msg":M}}          it is another's; the connection ends
//	        {"type":"INVALID-KEY"}                           the key is not known here; the connection ends
//	        {"type":"ERROR","payload":{"msg":M}}             anything else that ends the connection
//	        {"type":"EXPIRE","src":DST,"dst":ID}             DST, to whom the client wrote, didn't come
//	        {"type":T,"src":SRC,"dst":ID,"payload":P}        T is OFFER, ANSWER or CANDIDATE, from SRC
//	client  {"type":T,"dst":DST,"payload":P}                 for DST, wherever it is
//	        {"type":"HEARTBEAT"}                             every 5 s; no answer
//
// P is an object and forwarded byte for byte. SRC is the id of the connection, whatever the client writes.
//
// # Resuming
//
// The token is the secret of one Peer object, made by the client. Who connects with an id that is taken and with the token of its holder
// gets the id at once: the client's network was gone, and its old connection, which nobody reads, is closed. It is told OPEN again.
// With another token it is ID-TAKEN, unless the holder shows no sign of life within a second.
//
// # Keys and tokens
//
// While access is open, each key is an application of its own: its ids are in a space that clients with other keys can neither take nor
// reach. While access is by key, an API key goes where PeerJS has a place for it, into `key` or `token`, and its name is the application;
// a token that is an API key resumes nothing, since many know it. A Peer without an id of its own asks for one with its key in the path,
// where proxies' logs show it. While access is by JSON Web Token, that goes into either place, and the
// client can have no id but the name in it. Ids over HTTP are given to everybody: they are only random.
//
// # Who isn't there
//
// Candidates may come before their offer, and a page may write to another that is about to connect. So what is for somebody who isn't
// there waits: 64 messages and 256 KiB for one recipient, as much of one sender, 512 messages and 2 MiB of one address, 4096 messages and 16 MiB in all. It follows OPEN in
// its order, or is dropped after 5 s; then each sender is sent one EXPIRE for that recipient. What finds no room is dropped and its
// sender sent EXPIRE at once.
//
// # What is different from PeerServer
//
// Clients can't send OPEN, LEAVE, EXPIRE or anything else that a server says. Nobody is told LEAVE: PeerJS takes it for the end of the
// peer's calls, and those outlive a lost connection to the server. A connection lives as long as it answers pings, which browsers do for
// tabs in the background too, whose HEARTBEAT they slow down to one a minute. Limits on connections are told in HTTP, before the
// WebSocket is there; limits on messages are those of every client (a message that is too large ends the connection). What is malformed is counted and
// dropped in silence, since PeerJS ends on every ERROR.
package peerjs
