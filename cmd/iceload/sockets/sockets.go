// Package link carries the messages of TURN clients to a server and back, and the
// packets of their peers.
//
// A [Link] is the way of many clients at once, over one transport; [Peers] is the other
// end of the relay. Both belong to one thread, which asks for what has arrived when it
// likes; nothing waits for single packets. Sending never blocks: what can't be sent is
// lost and counted.
//
// Over UDP, clients of a server on the IPv4 loopback share a few sockets and differ by
// their address in 127.64.0.0/10, so that limits for each client address don't bite and
// one system call serves many. Elsewhere, and if the user wants so, each client has a
// socket of its own. Over TCP, TLS and DTLS each client has a connection.
package sockets

import (
	"crypto/tls"
	"net/netip"
	"time"
)

// Transport is how clients reach the server.
type Transport string

// The transports.
const (
	UDP  Transport = "udp"
	TCP  Transport = "tcp"
	TLS  Transport = "tls"
	DTLS Transport = "dtls"
)

// Transports are all of them.
var Transports = []Transport{UDP, TCP, TLS, DTLS}

// Stream tells whether the transport is a stream of bytes.
func (t Transport) Stream() bool { return t == TCP || t == TLS }

// Handler takes a message that arrived for a client at, ns since 1970. The message
// is valid until it returns.
type MessageHandler func(client int, message []byte, at int64)

// Link is the way of a number of clients to a server and back.
type Clients interface {
	// Message returns the room for a message of client to the server, which is to be filled
	// before the next call of Message or Flush; nil if the client's way is full.
	QueueMessage(client, size int) []byte
	// Flush sends all messages.
	Flush()
	// Receive hands over what has arrived, and does not wait. An error is final.
	Receive(f MessageHandler) error
	// Wait waits until something has arrived, at most for d.
	Wait(d time.Duration) error
	// Renew makes client a stranger to the server, with a 5-tuple it did not have before.
	Reconnect(client int) error
	// Lost is how many messages this host refused to send, and why it refused the first.
	SendFailures() (uint64, error)
	Close() error
}

// Options say which clients there are, and how they reach which server.
type ClientsOptions struct {
	Server    netip.AddrPort
	Transport Transport
	Clients   int
	// First is the number of the first client on this host, for distinct addresses.
	First int
	// MessageSize is the length of the longest message in bytes.
	MessageSize int
	// OwnSockets gives each UDP client a socket of its own even where sharing is possible.
	OwnSockets bool
	// Segment, if above 0, is the length of the UDP messages of which runs are handed
	// over as one (UDP_SEGMENT).
	Segment int
	// Coalesce takes runs of UDP messages as one (UDP_GRO).
	Coalesce bool
	// TLS configures TLS and DTLS clients.
	TLS *tls.Config
}
