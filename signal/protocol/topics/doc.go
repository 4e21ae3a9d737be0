// Package topics serves protocols in which clients do not address each other, but publish messages to topics and subscribe
// to them. A [Dialect] defines the messages of one protocol; [New] makes a [Handler] for its WebSockets.
//
// A topic is a name of 1 to 256 bytes that clients agree on. It exists while it has a subscriber. The Handler sends a
// publication to all clients that are subscribed at that moment, including the publisher if it is one of them. It does not
// store publications. A client need not subscribe to a topic to publish to it; knowing the name is sufficient. Each Handler
// has topics of its own, so clients of different protocols cannot reach each other.
//
// # Limits
//
// [signal.TopicLimits] limit the subscriptions of one client, the subscribers of one topic, the subscriptions of one
// address (IPv6: one /64), and the subscriptions of one Handler. The Handler refuses and counts a subscription above a
// limit, and tells the client in its protocol's format. The client's connection and its other subscriptions remain.
//
// A publication counts against its sender's message rate once when it is read. It counts again for the data that it causes
// to be sent: as one more message for every 64 KiB, where each subscriber counts 256 bytes beyond the frame. The server
// reads more slowly from a client that exceeds the rate.
//
// The queue of each subscriber is bounded as described in package signal. If publications of one sender fill a quarter of a
// subscriber's queue, the Handler drops further ones from that sender for this subscriber. The hub disconnects a subscriber
// whose queue is full.
//
// # Several nodes
//
// Subscriptions are stored behind a small interface. Its only implementation keeps them in the memory of one process, so
// clients on different nodes do not share topics. To share topics between nodes, add an implementation that uses a broker.
package topics
