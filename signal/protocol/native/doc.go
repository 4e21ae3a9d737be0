// Package native speaks icebox's own protocol, version 1: JSON objects in text, told apart by their member
// "type", over a WebSocket or over server-sent events and POST. This page is its specification. Package wire
// below has its messages as Go types, package signal/client a client.
//
// # Rules for every message
//
//   - Members that are not known here are ignored, by both sides; so are types that a client doesn't know. A type
//     that the server doesn't know is answered with the error unknown-type.
//   - "ref", a string or number of at most 64 bytes that the client chooses, asks for an answer: exactly one message with
//     the same ref, which is the answer named below, else {"type":"ok"}, or an error. Without a ref the client
//     hears of errors, and of success where an answer is named.
//   - A client ID is an opaque string, at most 64 bytes long. It is fresh for each session, nobody can guess
//     it, and it says nothing about the client.
//   - "from" and "fromName" are the server's word: what the sender was welcomed as, whatever it wrote.
//   - A number that is 0, and a list or text that is empty, may be left out.
//   - Times are whole seconds: Unix time in "expires" and "until", lengths in all others.
//   - Payloads ("data") may be any JSON value. They are passed on byte for byte.
//
// # Signing in
//
//	-> {"type":"hello","v":1,"name":"alice","token":"..."}
//	<- {"type":"welcome","v":1,"id":"...","name":"alice","resume":"...",
//	    "iceServers":[{"urls":[...]},{"urls":[...],"username":"...","credential":"..."}],"expires":1767225600,"ttl":3600,
//	    "limits":{...}}
//
// hello is the first message, within 10 s. "name" may be left out: the client can then be reached by its ID
// alone, and where access is by JWT it gets the name in its token. "token" is a JWT or an API key, whichever
// this server wants; the WebSocket's URL may carry it as ?token= or ?key= instead.
//
// "resume" is a secret: whoever shows it is this client. It works as a Bearer for ICE servers over HTTP
// too, if the client has a name.
// The welcome can be handed to `new RTCPeerConnection` as it is. If there are no ICE servers to give,
// "iceServers" is missing and "iceError" has a code and a message. "limits" has
//
//	message             bytes of one message
//	messagesPerSecond   on average, and burst at once; who is faster is read more slowly
//	names               names one may watch
//	parties             clients in one call, at most
//	calls               calls one may be in at a time
//	resume              seconds for which a lost connection may be resumed
//	resumeMessages      messages that are kept for resuming, and resumeBytes
//
// A refused hello is answered with an error; the client may send another one, five in all.
//
// # Fresh ICE servers
//
//	<- {"type":"ice","iceServers":[...],"expires":...,"ttl":...}
//
// comes when at most 80 % of the credential's life has passed, with "call" if the credential is a call's.
// {"type":"ice"}, with "call" or without, asks for one now; the answer is the same message.
//
// # Messages from client to client
//
//	-> {"type":"send","to":"bob","kind":"offer","data":{...}}       to a name
//	-> {"type":"send","toId":"...","kind":"offer","data":{...}}     to an ID
//	<- {"type":"message","from":"...","fromName":"alice","kind":"offer","data":{...}}
//
// "kind" is 1 to 32 letters, digits and hyphens. offer, answer, candidate and leave mean the same as in the
// classic protocol, and names are the same, so that clients of both can call each other: an offer makes two
// clients a pair, and answer, candidate and leave (which has no data) pass only within a pair. All other kinds
// pass freely between clients of this protocol, and make pairs too.
//
//	<- {"type":"gone","from":"...","fromName":"alice"}
//
// says that a client's session is over, to each of the 128 clients it last exchanged anything with. What they sent it
// and it didn't answer may never have arrived.
//
// # Presence
//
//	-> {"type":"watch","names":["bob","carol"]}
//	<- {"type":"presence","name":"bob","online":true}
//
// One presence message comes for each name at once, and then one for every change. Who may yet resume
// is online. {"type":"unwatch","names":[...]} ends it.
//
// # Calls
//
//	-> {"type":"create","ref":1,"max":2}
//	<- {"type":"created","ref":1,"call":"k3v9...","link":"https://host/#call=k3v9...","max":2,"until":...,
//	    "restore":"...","iceServers":[...],"expires":...,"ttl":...}
//
// makes a call with its maker in it. The call's ID is short and can't be guessed; who knows it may join. "max" is
// how many may be in it, 2 if left out. "until" is when it ends if nobody else joins. "link" begins with the origin by
// which the client reached the server; where that isn't known it is a path. The ICE servers have a credential of their own
// for this client in this call.
//
//	-> {"type":"join","ref":2,"call":"k3v9..."}
//	<- {"type":"joined","ref":2,"call":"k3v9...","link":"...","max":2,"parties":[{"id":"...","name":"alice"}],
//	    "restore":"...","iceServers":[...],"expires":...,"ttl":...}
//
// "parties" are the others. They are told
//
//	<- {"type":"party-joined","call":"k3v9...","id":"...","name":"bob"}
//
// Within the call
//
//	-> {"type":"send","call":"k3v9...","kind":"offer","data":{...}}
//	<- {"type":"message","call":"k3v9...","from":"...","fromName":"alice","kind":"offer","data":{...}}
//
// goes to all others, or with "toId" to one of them. What is sent to all while nobody else is there is kept
// and follows the first joiner's "joined": for each sender its latest offer or answer, then its candidates, then
// messages of other kinds, each in their order. A later offer or answer replaces the
// earlier one and its candidates. What is kept goes when it has been passed on, when its sender leaves, and when the call ends; one
// call keeps so many bytes and no more (error call-full-of-data). Who has joined a call of more than two should
// make an offer to each of "parties" with "toId".
//
//	-> {"type":"leave","call":"k3v9..."}
//	<- {"type":"party-left","call":"k3v9...","id":"...","name":"bob","reason":"left"}
//
// Others stay; the reason is left, or gone when a session is over. A call that is empty ends 60 s later, so that a
// page that was reloaded can join again.
//
//	-> {"type":"hangup","call":"k3v9..."}
//	<- {"type":"ended","call":"k3v9...","reason":"hangup","from":"...","fromName":"bob"}
//
// ends it for all. Other reasons are unjoined and empty. An ID that was made here is never used again.
//
// A server that has restarted knows no calls. Who was in one goes on with
//
//	-> {"type":"join","ref":3,"call":"k3v9...","restore":"..."}
//
// where "restore" is what "created" or "joined" brought: the latest, for each server process gives another. The first to show
// it makes the call again, with the same "max", the others join it as usual; parties have new IDs then, as all clients do. That
// works for the first 10 minutes of a server, not for a call that has ended since then, nor on the server process that gave the
// proof: the answer is no-such-call. "restore" is a secret of those who are in the call. It does no harm where
// it isn't needed.
//
// Where a JWT lists calls, its bearer may join those and no others, and joining one that doesn't exist makes it.
// Nobody else can join such a call.
//
// # Sequence numbers
//
// Every message of the server carries "seq", counting from 1, except welcome, resumed, ack, pong, bye, and errors that refuse a
// hello. A client remembers the highest it has seen, and drops what comes with that or less. It says so
// with "ack" in any message, or {"type":"ack","ack":17}, at least once in 16 messages, for the server to
// forget what it keeps. It should send one right after the welcome: a session is kept only once the server has heard
// from the client after its hello.
//
// A client may number its own messages (all but hello, ack, ping and bye) with "seq", from 1, without gaps. The
// server then drops what it has had, and refuses what is ahead with out-of-order, whose "ack" says what it has.
// {"type":"ack","ack":16} comes at least once in 16 numbered messages; pong and resumed have "ack" as well.
// A message without "seq" is acted upon at most once and may be lost with a connection.
//
// # Resuming
//
// When a connection is lost the client stays signed in for limits.resume seconds, in its calls and online; what it is
// sent is kept. On a new connection
//
//	-> {"type":"hello","v":1,"resume":"...","seq":17}
//	<- {"type":"resumed","id":"...","name":"alice","ack":5,"seq":19}
//
// goes on where the old one ended: messages 18 and 19 follow, and the client sends again what it
// numbered above 5. An old connection that still lives gets the goodbye "elsewhere". If that can't be done (too late, too much
// to keep for this client or for all of its address, or the server has restarted) the answer is the error resync: the session is over,
// its correspondents have been told that it is gone, and the client signs in anew.
//
// A page that was reloaded has lost its calls but may know its secret. With
//
//	-> {"type":"hello","v":1,"name":"alice","replace":"..."}
//
// the old session ends and its name is the new one's at once. Without it a name is free when its holder's
// connection is dead and the time to resume has passed. A "replace" that is no session's any more does no harm.
//
// # Signs of life
//
// The server pings (RFC 6455) every 10 s; an answer may take 5 s, so that a connection which died without a word is
// found dead 15 s later at the latest. It also pings a connection it has
// not heard from for 5 s when it has something to send, and gives that 5 s. A client may send {"type":"ping"} at any
// time and gets {"type":"pong","ack":5}; every 10 s is a good interval to find a dead server with.
//
// # Goodbyes
//
//	<- {"type":"bye","reason":"restarting","reconnect":true}
//
// is the last message of a connection that the server ends, if it can still be sent. "reconnect" says whether the client should
// try again, with the backoff and jitter of its choice. Reasons are
//
//	restarting      reconnect; the session won't be known any more
//	slow-reader     reconnect; the session is over: too much was waiting for this client
//	token-expired   reconnect with another token; {"type":"renew","token":"..."} in time avoids it
//	too-large       reconnect; a message was above the limit
//	protocol        reconnect; a message was not UTF-8, or not completed in time
//	error           reconnect; the server is at fault
//	elsewhere       don't: the session was resumed on another connection
//	replaced        don't: a new session took the name over
//
// A WebSocket that has not signed in yet is closed without one. {"type":"bye"} from a client ends its session at
// once.
//
// # Errors
//
//	<- {"type":"error","code":"peer-offline","message":"...","ref":3,"to":"bob"}
//
// Codes are stable, messages are sentences for people. "to", "toId" and "call" are those of the refused
// message.
//
//	bad-message          not a JSON object with the members it needs
//	unknown-type         the type is not known
//	binary-frame         binary frames are not understood
//	message-too-large    goodbye follows
//	rate-limited         told once; messages are read more slowly, none is lost
//	version              "v" is not 1; "v" of the error is what the server speaks
//	not-signed-in        hello comes first
//	signed-in            hello comes once
//	token-missing        access here needs a token
//	token-invalid        the token is not good here
//	token-expired        the token was good
//	bad-name             1 to 128 bytes of UTF-8 without control characters
//	name-taken           somebody is signed in under this name
//	name-not-allowed     the token is for another name
//	resync               the session is over: sign in anew
//	out-of-order         a numbered message came before its predecessor
//	peer-offline         nobody has this name or ID
//	peer-busy            too many messages wait for this peer; this one was dropped
//	peer-unsupported     the peer's protocol has no such message
//	not-paired           no offer was exchanged with this peer
//	too-many-requests    a fifth POST of this session at the same time: it was not read
//	watch-limit          too many names to watch
//	no-such-call         no call has this ID (any more)
//	call-full            as many as may are in this call
//	call-not-allowed     the token doesn't allow this call
//	call-limit           too many calls
//	in-call              this user is in a call already
//	not-in-call          join first
//	call-full-of-data    the call keeps as much as it may for who joins; this message was dropped
//	mint-limited         too many credentials: wait a minute
//	unavailable          try again later
//	restarting           the server is about to restart
//
// # WebSocket
//
// GET /ws with the subprotocol icebox.v1. One message is one text frame.
//
// # Server-sent events
//
// For networks that break WebSockets; the messages are the same.
//
//	POST /v1/hello    a hello, of any kind. 200 with the welcome or resumed, or an error's status with the error
//	GET  /v1/events   Authorization: Bearer RESUME, Last-Event-ID: 17 (or ?seq=17)
//	POST /v1/send     Authorization: Bearer RESUME; one message or an array of up to 256. 200 {"type":"ack","ack":5}
//
// The session begins without a connection and has to open its event stream as it would resume: at once, within
// limits.resume. Each event's data is a message, its id the message's seq; the first is resumed. Comments come every 15 s
// so that proxies and clients see life; a client that saw nothing for 25 s opens the stream again.
// What a POST brings counts as a sign of life; a stream whose writes succeed counts as one as well, because
// nothing comes back on it. Answers and errors come in the stream, not in the response to the POST, which
// says only that the messages were read. 401 with resync means that the session is over.
// Only one POST of a session should run at a time, or messages overtake each other (number them).
// Secrets travel in headers and bodies, never in the URL: use fetch, not EventSource.
package native
