// Package native serves icebox's own signalling protocol, version 1. Its messages are JSON objects whose member "type"
// names the type of the message. They travel over a WebSocket, or over server-sent events and POST requests.
//
// This comment is the protocol's specification, for people who write clients. In the examples, -> marks a message from
// the client and <- a message from the server. Package wire below has the messages as Go types, and package
// signal/client is a client.
//
// # Rules for every message
//
//   - Both sides ignore members that they do not know. A client ignores messages of a type that it does not know; the
//     server answers them with the error unknown-type.
//   - A request may carry "ref", a JSON string or number of at most 64 bytes, quotes included, that the client chooses. The
//     server copies it into its response: the message that this page names as the response, or {"type":"ok"} if it names
//     none, or an error. There is exactly one such response to each request that the server acts upon. The server never
//     copies a ref from an ack, a ping or a bye, or from a hello that succeeds.
//   - Without a ref, the client still receives errors and the responses that this page names, but no {"type":"ok"}.
//   - A client ID is an opaque string of at most 64 bytes. Every session gets a new one. It cannot be guessed, and it
//     reveals nothing about the client.
//   - The server sets "from" and "fromName" to the ID and the name that it gave the sender in its welcome. The sender
//     cannot change them.
//   - A number that is 0, and a list or string that is empty, may be left out.
//   - Times are whole seconds: "expires" and "until" are Unix times, all others are durations.
//   - A payload ("data") may be any JSON value. The server passes it on byte for byte, except that an event stream has
//     spaces in place of line breaks between the tokens.
//
// # Signing in
//
//	-> {"type":"hello","v":1,"name":"alice","token":"..."}
//	<- {"type":"welcome","v":1,"id":"...","name":"alice","resume":"...",
//	    "iceServers":[{"urls":[...]},{"urls":[...],"username":"...","credential":"..."}],"expires":1767225600,"ttl":3600,
//	    "limits":{...}}
//
// The first message is hello. The client has to send it within 10 s of connecting. A client may leave out "name". It then
// gets the name in its JWT if there is one; otherwise it has no name, and others can reach it only by its ID. "token" is a
// JWT or an API key, depending on what the server requires. The URL of the WebSocket may carry it instead, as ?token= or
// ?key=.
//
// "resume" is a secret. The client sends it to resume or replace this session. If the client has a name, the secret also
// works as a Bearer token when it fetches ICE servers over HTTP.
//
// The welcome can be passed to `new RTCPeerConnection` as it is. If the server could not provide ICE servers,
// "iceServers" is missing and "iceError" has a code and a message. If the server is not configured to provide any, both
// are missing. The members of "limits" are
//
//	message             the largest message, in bytes
//	messagesPerSecond   the average rate at which the server reads messages; one of 16 KiB or more counts as several
//	burst               how many messages the server reads at once; beyond that it reads at the average rate
//	names               how many names a client may watch
//	parties             how many clients may be in one call
//	calls               how many calls a client may be in at a time
//	resume              for how many seconds a lost connection may be resumed
//	resumeMessages      how many messages the server keeps for a client that may resume
//	resumeBytes         how many bytes of messages the server keeps for a client that may resume
//
// The server answers a hello that it refuses with an error, and the client may try again on the same connection. When the
// server refuses the fifth message before a welcome, it closes the connection.
//
// # Fresh ICE servers
//
//	<- {"type":"ice","iceServers":[...],"expires":...,"ttl":...}
//
// The server sends this when 70 to 80 % of a credential's lifetime have passed. It has "call" if the credential belongs
// to a call. A client that needs new servers earlier sends {"type":"ice"}, with or without "call"; the response is the
// same message, or has "iceError" as in a welcome.
//
// # Messages from client to client
//
//	-> {"type":"send","to":"bob","kind":"offer","data":{...}}       to a name
//	-> {"type":"send","toId":"...","kind":"offer","data":{...}}     to an ID
//	<- {"type":"message","from":"...","fromName":"alice","kind":"offer","data":{...}}
//
// "kind" is 1 to 32 ASCII letters, digits and hyphens. The kinds offer, answer, candidate and leave mean the same as in
// the classic protocol, and both protocols share their names, so their clients can call each other. An offer makes two
// clients a pair. The server passes on answer, candidate and leave (which has no data) only within a pair. It passes on
// all other kinds between any two clients of this protocol, which makes them a pair too.
//
//	<- {"type":"gone","from":"...","fromName":"alice"}
//
// When a session ends, the server sends this to the 128 clients that it exchanged messages with last. Messages that they
// sent to it and that it did not answer may never have arrived.
//
// # Presence
//
//	-> {"type":"watch","names":["bob","carol"]}
//	<- {"type":"presence","name":"bob","online":true}
//
// The server sends one presence message for each name at once, and another one at every change. A client that lost its
// connection counts as online for as long as it may resume. {"type":"unwatch","names":[...]} ends the subscription.
//
// # Calls
//
//	-> {"type":"create","ref":1,"max":2}
//	<- {"type":"created","ref":1,"call":"k3v9...","link":"https://host/#call=k3v9...","max":2,"until":...,
//	    "restore":"...","iceServers":[...],"expires":...,"ttl":...}
//
// This creates a call with its creator in it. The call's ID is short but cannot be guessed, and every client that knows
// it may join. "max" is how many clients may be in the call, from 2 (the default) to limits.parties. The call ends at
// "until" if nobody else has joined by then. "link" begins with the origin by which the client reached the server; if
// the server does not know that, it is only a path. The ICE servers have a credential of their own for this client in
// this call.
//
//	-> {"type":"join","ref":2,"call":"k3v9..."}
//	<- {"type":"joined","ref":2,"call":"k3v9...","link":"...","max":2,"parties":[{"id":"...","name":"alice"}],
//	    "restore":"...","iceServers":[...],"expires":...,"ttl":...}
//
// "parties" lists the other clients in the call. They receive
//
//	<- {"type":"party-joined","call":"k3v9...","id":"...","name":"bob"}
//
// Clients in a call exchange messages by its ID:
//
//	-> {"type":"send","call":"k3v9...","kind":"offer","data":{...}}
//	<- {"type":"message","call":"k3v9...","from":"...","fromName":"alice","kind":"offer","data":{...}}
//
// Such a message goes to all others in the call, or with "toId" to one of them. In a call of more than two, a client
// that has joined should make an offer to each of "parties" with "toId".
//
// A client that is alone in a call can already send messages without "toId". The server keeps them, and sends them to the
// next client that joins, after its "joined". For each sender they come in this order: its latest offer or answer, its
// candidates, then its messages of other kinds. A new offer or answer replaces the previous one and the candidates that
// followed it. The server discards a kept message when it has been delivered, when its sender leaves, and when the call
// ends. If the call keeps as much as it may, the server refuses a further message with the error call-full-of-data. If all
// calls together keep as much as they may, or all messages from the sender's address do, the error is calls-full-of-data.
//
//	-> {"type":"leave","call":"k3v9..."}
//	<- {"type":"party-left","call":"k3v9...","id":"...","name":"bob","reason":"left"}
//
// The others stay in the call. The reason is "left", or "gone" if the session of that client has ended. An empty call
// ends after 60 s; until then a page that was reloaded can join it again.
//
//	-> {"type":"hangup","call":"k3v9..."}
//	<- {"type":"ended","call":"k3v9...","reason":"hangup","from":"...","fromName":"bob"}
//
// This ends the call for everybody, and everybody receives "ended", the sender of the hangup included. The reason is
// "unjoined" if the call ended because nobody joined it in time. The server never gives the same ID to a second call.
//
// A token may list the calls that its bearer may join. Such a client can join no other calls and create none; joining a
// listed call that does not exist creates it. Clients without a token that lists the call cannot join it.
//
// # Calls across a restart of the server
//
// A server that has restarted knows no calls. A client that was in one continues it with
//
//	-> {"type":"join","ref":3,"call":"k3v9...","restore":"..."}
//
// where "restore" is the value from the latest "created" or "joined" of that call; every server process issues a
// different one. The first client that presents it creates the call again, with the same "max". The others join it as
// usual, with or without "restore". All clients have new IDs by then.
//
// This works for 10 minutes after the server has started. Otherwise the response is the error no-such-call. The response is
// the same for a call that has been restored and has ended since, and on the server process that issued the value.
// "restore" is a secret of the clients in the call. Sending it where it is not needed does no harm. A call that is listed
// in a token has no "restore", because each client whose token lists the call can create it again.
//
// # Sequence numbers
//
// Every message from the server carries "seq", counting from 1, except welcome, resumed, ack, pong, bye, and errors that
// refuse a hello. A client remembers the highest number that it has seen, and drops messages with that number or a lower
// one. It acknowledges the number with "ack" in any message, or with {"type":"ack","ack":17}, at least once in 16
// messages; the server can then discard the messages that it keeps for resuming. A client should send an ack right
// after its welcome, because the server keeps the session of a lost connection only if it has heard from the client
// after the hello.
//
// A client may number its own messages, except hello, ack, ping and bye, with "seq", from 1 and without gaps. The server
// then drops messages that it has already received. It refuses a message that skips a number with the error
// out-of-order, whose "ack" is the highest number received. It sends {"type":"ack","ack":16} at least once in 16
// numbered messages; pong and resumed carry "ack" as well. The server acts at most once on a message without "seq", and
// such a message may be lost with its connection.
//
// # Resuming
//
// When a connection is lost, the client stays signed in for limits.resume seconds. It remains in its calls and counts as
// online, and the server keeps the messages for it. On a new connection
//
//	-> {"type":"hello","v":1,"resume":"...","seq":17}
//	<- {"type":"resumed","id":"...","name":"alice","ack":5,"seq":19}
//
// continues the session. "seq" in the hello is the highest number that the client has seen. In this example the server
// sends messages 18 and 19 next, and the client sends its own numbered messages above 5 again. If the old connection
// still works, it receives the goodbye "elsewhere".
//
// The error resync means that the session cannot continue: the client came back too late, the server could not keep
// enough messages for this client or for all clients of its address, or the server has restarted. The server tells the
// clients that it exchanged messages with that it is gone, and the client has to sign in again.
//
// A page that was reloaded has lost its calls, but may still know its secret. With
//
//	-> {"type":"hello","v":1,"name":"alice","replace":"..."}
//
// it ends its old session and takes over the name at once. Without "replace", a name becomes free only when its holder's
// connection is dead and the time to resume has passed. If "replace" belongs to no present session, it is ignored.
//
// # Detecting dead connections
//
// The server sends a WebSocket ping (RFC 6455) every 10 s and waits 5 s for an answer, so it finds a connection that
// broke silently within 15 s. When it has something to send on a connection from which it has received nothing for 5 s,
// it also sends a ping, and gives up the connection if nothing comes within another 5 s. A client may send
// {"type":"ping"} at any time and receives {"type":"pong","ack":5}. Sending one every 10 s is a good way to detect a
// server that has died.
//
// # Goodbyes
//
//	<- {"type":"bye","reason":"restarting","reconnect":true}
//
// When the server ends a connection, this is the last message on it, if it can still be sent. "reconnect" is true if the
// client should try again, with a backoff and jitter of its choice. The reasons are
//
//	restarting      reconnect; the session cannot be resumed, because the server restarts
//	slow-reader     reconnect; the session has ended, because the client did not read its messages fast enough
//	token-expired   reconnect with another token; {"type":"renew","token":"..."} in time prevents this
//	too-large       reconnect; a message was above limits.message
//	protocol        reconnect; a message was not UTF-8, or the client did not complete it in time
//	error           reconnect; the server failed
//	elsewhere       don't reconnect; the session was resumed on another connection
//	replaced        don't reconnect; a new session of this client has taken its place
//
// The server sends no bye when it closes a WebSocket that has not signed in. A client ends its session at once by sending
// {"type":"bye"}.
//
// # Errors
//
//	<- {"type":"error","code":"peer-offline","message":"...","ref":3,"to":"bob"}
//
// Codes are stable; programs decide by them. "message" is a sentence for people and may change. The
// server copies "to", "toId" and "call" from the message that it refuses. The codes and their sentences are
//
//	bad-message          the message is not a JSON object with the required members
//	unknown-type         the type of the message is unknown
//	binary-frame         binary frames are not supported: send JSON in text frames
//	message-too-large    the message is larger than this server allows
//	rate-limited         too many messages: the server reads them more slowly from now on, and drops none
//	version              this server supports version 1 of the protocol only
//	not-signed-in        sign in before sending to others
//	signed-in            this connection is already signed in
//	token-missing        this server requires a token
//	token-invalid        the token is not valid on this server
//	token-expired        the token has expired
//	bad-name             a name consists of 1 to 128 bytes of UTF-8 without control characters
//	name-taken           another client is signed in under this name
//	name-not-allowed     the token is for another name
//	resync               the session has ended: sign in again
//	out-of-order         a message with a lower number is missing: resend all messages from that number on
//	peer-offline         no client has this name or ID
//	peer-busy            too many of your messages are waiting for this peer
//	peer-unsupported     the peer's protocol does not support this message
//	not-paired           there is no call between you and this peer
//	too-many-requests    too many requests of this session are being handled: wait for their replies
//	watch-limit          too many watched names
//	no-such-call         no call has this ID: the call may have ended
//	call-full            this call already has as many parties as it allows
//	call-not-allowed     the token does not allow this call
//	call-limit           too many calls: leave one, or try again later
//	in-call              you are already in a call
//	not-in-call          join the call first
//	call-full-of-data    this call already stores as many messages as it may for clients that join later
//	calls-full-of-data   too many messages wait for clients that join later: try again when somebody has joined
//	mint-limited         too many requests for TURN credentials: try again in a minute
//	unavailable          the server cannot do this now: try again later
//	restarting           the server is about to restart: connect again in a moment
//
// Some codes need more explanation:
//
//   - message-too-large: the limit is limits.message. A bye follows.
//   - rate-limited is only a warning.
//   - version: "v" in the error is the version that the server speaks.
//   - not-signed-in: the first message has to be hello.
//   - peer-busy, call-full-of-data and calls-full-of-data: the server has dropped the message.
//   - peer-unsupported: the peer uses another protocol, which has no message for this kind.
//   - not-paired: the two clients have not exchanged an offer.
//   - too-many-requests: four POSTs of this session are in progress. The server has not read this one.
//   - watch-limit: the limit is limits.names.
//   - call-full: the limit is "max" of the call.
//   - call-limit: the client or the server has as many calls as allowed, or "max" is out of range.
//   - in-call: the client is already in this call, or the server allows each user to be in one call only.
//   - calls-full-of-data: all calls together, or all messages from this address, take as much memory as allowed.
//
// # WebSocket
//
// GET /ws with the subprotocol icebox.v1. Each message is one text frame.
//
// # Server-sent events
//
// This transport is for networks that break WebSockets. The messages are the same.
//
//	POST /v1/hello    The body is a hello of any kind. 200 with the welcome or resumed, or an error and its status
//	GET  /v1/events   Authorization: Bearer RESUME, and Last-Event-ID: 17 or ?seq=17. The event stream
//	POST /v1/send     Authorization: Bearer RESUME. The body is a message or an array of up to 256 messages, and is
//	                  limited to limits.message bytes. 200 with {"type":"ack","ack":5}
//
// A session that begins with POST /v1/hello has no connection yet. The client has to open the event stream within
// limits.resume seconds, in the same way as it would resume. The data of each event is one message, and the event's ID is
// the seq of that message. The first event is resumed. The server sends a comment every 15 s, so that proxies and
// clients can see that the stream is alive; a client that has received nothing for 25 s should open the stream again.
//
// A POST counts as a sign of life. A successful write to the event stream counts as one too, because the client sends
// nothing back on it.
//
// Responses and errors come in the event stream. The response to a POST says only that the server has read the messages;
// 401 with resync means that the session has ended. Only one POST of a session should be in progress at a time, because
// concurrent ones can overtake each other; numbered messages make this detectable.
//
// On this transport the secret belongs in a header or a body, never in a URL. Use fetch instead of EventSource, which
// cannot set headers.
package native
