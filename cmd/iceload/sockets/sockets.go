// Package sockets sends and receives the messages of TURN clients and the packets of their peers.
//
// [Clients] are many clients of one server over one transport. [Peers] are the hosts that those
// clients reach through the relay. Neither is safe for concurrent use: one thread owns both and
// polls them at intervals of its choice, so packets do not wake it up. Sending never blocks; a
// message that cannot be sent is dropped and counted.
//
// Over UDP, the clients of a server on the IPv4 loopback share one socket and differ by their
// addresses in 127.64.0.0/10. So one system call serves many clients, and the server's limits per
// client address do not apply to all of them together. For any other server, and with OwnSockets,
// each UDP client has a socket of its own. Over TCP, TLS and DTLS each client has a connection.
package sockets

import (
	"crypto/tls"
	"net/netip"
	"time"
)

// Transport is the protocol between clients and server.
type Transport string

// The transports.
const (
	UDP  Transport = "udp"
	TCP  Transport = "tcp"
	TLS  Transport = "tls"
	DTLS Transport = "dtls"
)

// Transports returns all transports.
var Transports = []Transport{UDP, TCP, TLS, DTLS}

// Stream reports whether the transport is a stream of bytes.
func (t Transport) Stream() bool { return t == TCP || t == TLS }

// MessageHandler is called with a message that arrived for a client. at is the arrival time in ns
// since 1970. The message is valid until the handler returns.
type MessageHandler func(client int, message []byte, at int64)

// Clients are the sockets or connections of a number of clients, numbered from 0.
type Clients interface {
	// QueueMessage queues a message of size bytes from client to the server. It returns the slice
	// that the caller must fill before it calls QueueMessage or Flush again, or nil if too much is
	// already waiting for the client's stream.
	QueueMessage(client, size int) []byte
	// Flush sends all queued messages.
	Flush()
	// Receive calls f for each message that has arrived. It does not block. After an error the
	// Clients cannot be used any more.
	Receive(f MessageHandler) error
	// Wait blocks until something has arrived or d has passed.
	Wait(d time.Duration) error
	// Reconnect gives client a 5-tuple that it has not had before, so that the server takes it for
	// a new client.
	Reconnect(client int) error
	// SendFailures returns how many messages, or over a stream how many flushes, this host failed
	// to send, and the first of the errors.
	SendFailures() (uint64, error)
	Close() error
}

// ClientsOptions describe the clients and how they reach the server.
type ClientsOptions struct {
	Server    netip.AddrPort
	Transport Transport
	Clients   int
	// First is the number of client 0 among all clients on this host, so that their addresses
	// differ.
	First int
	// MessageSize is the length in bytes of the longest message.
	MessageSize int
	// OwnSockets gives each UDP client a socket of its own even if the clients could share one.
	OwnSockets bool
	// Segment, if above 0, is the length of UDP messages that may be sent several at a time as one
	// (UDP_SEGMENT).
	Segment int
	// Coalesce lets the kernel join consecutive UDP messages to the clients (UDP_GRO).
	Coalesce bool
	// TLS is the configuration for TLS and DTLS.
	TLS *tls.Config
}
