// Package client is a Go client of icebox's native protocol, which package native specifies.
//
// A [Client] is one session. It numbers the messages that it sends, acknowledges those that it receives, and resumes the
// session when its connection is lost, with exponential backoff and jitter. So its caller gets every message once and in
// order, and need not handle reconnections. If the session cannot be resumed, the channel [Client.Events] is closed and
// [Client.Err] returns the reason. The caller then usually calls Dial again. Only the caller knows which application state
// was lost with the session.
//
// Requests have the types of package wire. [Client.Do] waits for the reply to a request, [Client.Send] does not. All other
// messages are sent to [Client.Events]. The caller must receive from that channel: while the channel is full, the client
// does not read from the server, and the server disconnects clients that do not read.
package client
