// Package batch moves UDP datagrams many at a time: for a load generator that must
// cost less than the server it loads.
//
// Everything here is for one thread, takes no lock and allocates nothing once it is
// built. Sockets do not block: a [Writer] hands a batch to the kernel with one
// sendmmsg, a [Reader] takes what has arrived with one recvmmsg, a [Poller] waits.
//
//   - A shared socket is bound to no address and stands for many: each datagram says
//     which it leaves from, and the reader which it came to (IP_PKTINFO). So one
//     system call serves many clients. On Linux all of 127.0.0.0/8 may be used like that.
//   - Arrival is the kernel's timestamp (SO_TIMESTAMPNS), so that latency does not
//     depend on when the generator reads. It need not wait for single packets then,
//     and the server under test is not billed for waking it up.
//   - A run of datagrams with one destination may be handed over as one (UDP_SEGMENT), and
//     taken as one (UDP_GRO).
package batch
