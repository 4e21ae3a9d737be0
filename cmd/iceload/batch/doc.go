// Package batch sends and receives UDP datagrams in batches, so that a load generator costs less
// CPU time than the server it loads.
//
// Nothing here is safe for concurrent use: one thread uses a socket, its [Writer], its [Reader] and
// its [Poller]. None of them locks, and none allocates after it has been created. Sockets are
// nonblocking. A [Writer] hands a batch to the kernel with one sendmmsg call, a [Reader] fetches
// all received datagrams with one recvmmsg call, and a [Poller] waits.
//
//   - A shared socket is bound to the wildcard address and represents many addresses. Each outgoing
//     datagram carries its source address, and each incoming one its destination address
//     (IP_PKTINFO), so one system call serves many clients. On Linux every address in 127.0.0.0/8
//     can be used in this way.
//   - The arrival time of a datagram is the kernel's timestamp (SO_TIMESTAMPNS), so measured
//     latency does not depend on when the generator reads. The generator therefore does not have to
//     wake up for each packet, and the cost of waking it is not billed to the server under test.
//   - A run of equally long datagrams to one destination can be sent as one message (UDP_SEGMENT)
//     and received as one (UDP_GRO).
package batch
