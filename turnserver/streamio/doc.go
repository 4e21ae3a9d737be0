// Package streamio reads and writes the byte streams of TCP and TLS clients. It is the counterpart of packetio, which
// does the same for datagrams. It does not know TURN. Its caller cuts the bytes into messages.
//
// # Reading
//
// A [Reader] gets a buffer from a pool when bytes have arrived, and returns it to the pool once the caller has consumed
// the complete messages. So a stream that waits for its client holds no buffer, and 10,000 idle streams cost almost no
// memory.
//
// # Writing
//
// A [Writer] queues messages and never makes their sender wait. A loop of packetio writes everything that it queued in
// one round at the end of the round, in one system call. If the kernel does not accept all of it, the [Conn] keeps the
// rest and the Writer starts a goroutine, which runs until the client has caught up. A message that does not fit into
// the queue is dropped whole, so the framing of the stream stays intact.
package streamio
