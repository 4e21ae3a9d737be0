// Package topics delivers what clients publish to those that have subscribed: the core of protocols that know no clients, but only
// topics. A protocol says in a [Dialect] how that is worded, and gets a [Handler] that serves its WebSockets.
//
// A topic is a name that clients agree on, of 1 to 256 bytes. It is there while somebody has subscribed to it. What is published goes to
// all who have subscribed at that moment, the publisher included, if it has, and is kept for nobody. Publishing needs no
// subscription: who knows the name of a topic may write to it. Each handler has topics of its own, so clients of one protocol
// meet none of another.
//
// # Limits
//
// A client has so many subscriptions, a topic so many subscribers, and an address and a handler so many subscriptions in all
// ([signal.TopicLimits]). What is more is refused, counted, and told to the client where its protocol bears that; nothing else changes.
//
// A publication counts against its sender's rate once when it is read, and again by what is written for it: as one message for every 64 KiB,
// with 256 bytes added for each subscriber. Who publishes more has to wait. What waits for a subscriber is bounded as in package signal: the
// publications of one client are dropped for a subscriber of whose queue they fill a quarter, and a subscriber whose queue is full
// is cut off.
//
// # Several nodes
//
// Who has subscribed is behind a small interface, of which there is one implementation, in memory. A broker between nodes would be
// another.
package topics
