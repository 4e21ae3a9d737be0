// Package hubload loads signalling servers: it keeps connections, has clients send each other candidates and
// offers at an even rate, and has clients sign in and leave again.
//
// It does so over WebSockets in two protocols: the classic one of login, offer, answer and candidate that many
// tutorials teach, whose servers are countless, and icebox's own. In the latter it is a client as that
// protocol wants them: it numbers its messages, and says what it has with what it sends.
//
// Clients are goroutines of this process, so latency is what they see: from before a message is written until it
// has been read. Each pair of clients sends both ways. On IPv4 loopback the clients have many addresses,
// since one would run out of ports.
package hubload
