// Package hubload loads signalling servers. It keeps idle connections open, lets clients send each
// other candidates and offers at an even rate, and lets clients sign in and leave again.
//
// It uses WebSockets and either of two protocols: the classic one of login, offer, answer and
// candidate, which many tutorials teach, and icebox's native one. In the native protocol it numbers
// its messages and acknowledges received ones with those that it sends, as that protocol expects of
// a client.
//
// Clients are goroutines of this process. So latency is what a client experiences: from before a
// message is written until its recipient has read it. Both clients of a pair send. On the IPv4
// loopback the clients use many source addresses, because one address would run out of ports.
package hubload
