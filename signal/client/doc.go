// Package client is a Go client of icebox's native protocol, which package native specifies.
//
// A [Client] is one session. It numbers what it sends, acknowledges what it receives, and resumes the session when its
// connection is lost, with exponential backoff and jitter, so that whoever uses it sees every message once and in
// order and nothing of the reconnecting. When the session can't be resumed its events end, and
// Err says why; what to do then (usually to Dial again) is for the caller, who alone knows what was lost.
//
// Requests are of package wire. [Client.Do] waits for the answer of one; [Client.Send] doesn't. Everything
// that is no answer comes out of [Client.Events], which must be read: the server cuts off who doesn't.
package client
