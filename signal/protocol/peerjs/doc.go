// Package peerjs serves unmodified PeerJS clients (1.x). Their options name icebox's host in place of that of a PeerServer.
//
// The protocol is mounted at a path, /peerjs unless the operator chooses another. A client whose options name that path
// (`new Peer(id, {host, path: '/peerjs'})`) appends /peerjs and the rest to it. A client whose options name no path uses
// /peerjs alone. Both work:
//
//	GET  /peerjs/KEY/id      or /peerjs/id       a new random id (UUID), as text
//	GET  /peerjs/KEY/peers   or /peerjs/peers    the ids of all connected clients, as JSON; 401 unless discovery is on
//	GET  /peerjs/                                a description of the server, as JSON
//	WS   /peerjs/peerjs      or /peerjs          a WebSocket, with ?key=K&id=ID&token=T
//
// Messages on the WebSocket are JSON objects in text frames:
//
//	server  {"type":"OPEN"}                                  the client now holds its id
//	        {"type":"ID-TAKEN","payload":{"msg":M}}          another client holds the id; the connection ends
//	        {"type":"INVALID-KEY"}                           the key is not accepted; the connection ends
//	        {"type":"ERROR","payload":{"msg":M}}             any other error that ends the connection
//	        {"type":"EXPIRE","src":DST,"dst":ID}             the client's message to DST could not be delivered
//	        {"type":T,"src":SRC,"dst":ID,"payload":P}        a message from SRC; T is OFFER, ANSWER or CANDIDATE
//	client  {"type":T,"dst":DST,"payload":P}                 a message to DST
//	        {"type":"HEARTBEAT"}                             sent every 5 s; not answered
//
// P is a JSON object that is forwarded byte for byte. SRC is always the id that the sender's connection holds; a src in the
// sender's message is ignored.
//
// # Reconnecting
//
// Each Peer object of a page has a random token. If a client asks for an id that is taken, and sends the token of the
// connection that holds it, it gets the id and OPEN at once, because the page has lost its network and reconnects. The
// server closes the old connection. If the token is different, the client gets ID-TAKEN, unless the holder shows no sign of
// life within one second.
//
// # Keys and tokens
//
// If access is open, each key is a separate application: clients with different keys can neither reach each other nor take
// each other's ids.
//
// If access is by API key, the client sends the API key in place of either `key` or `token`. The name of the API key is the
// application. A token that is an API key cannot be used to reconnect, because many clients know it. A Peer that has no id
// of its own asks for one with the key in the path, so the key appears in the logs of proxies.
//
// If access is by JSON Web Token, the client sends the token in place of either `key` or `token`, and its id must be the
// name in the token.
//
// GET .../id needs no key. It gives anyone a random id, which reserves nothing.
//
// # Recipients that are not connected
//
// A candidate may arrive before its offer, and a page may write to a client that is just connecting. So the server keeps
// messages for an id that no client holds for 5 s. If a client gets the id in that time, the server sends it the messages
// in order after OPEN. Otherwise it drops them, and sends each of their senders one EXPIRE for that recipient.
//
// The number of waiting messages is limited:
//
//	to one recipient                  64 messages,   256 KiB
//	from one sender                   64 messages,   256 KiB
//	from one address (IPv6: one /64)  512 messages,  2 MiB
//	in all                            4096 messages, 16 MiB
//
// The server drops a message above a limit. If it is an offer or an answer, the server sends its sender EXPIRE at once.
//
// # Differences from PeerServer
//
//   - Clients cannot send OPEN, LEAVE, EXPIRE or any other message of a server to each other.
//   - The server sends no LEAVE. PeerJS would end its calls with the peer that left, although calls survive the loss of a
//     connection to the server.
//   - A connection lives as long as it answers WebSocket pings. Heartbeats do not matter, because browsers slow them down to
//     one a minute in background tabs, where pings are still answered.
//   - The gateway refuses a connection above a limit on connections with an HTTP status, before the WebSocket handshake.
//   - The server counts and drops malformed messages without an answer, because a PeerJS client gives up its connection
//     after every ERROR. The limits on messages are those of package signal. A message that is too large ends the
//     connection, with an ERROR.
package peerjs
