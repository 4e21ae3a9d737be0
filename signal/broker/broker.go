// Package broker connects hubs, so that a client of one hub can reach a client of another. It knows three things: which client
// holds which name, on which node that client is connected, and how to pass a message to that node. It knows nothing about
// sockets, frames or protocols.
//
// # Roles
//
// An [Engine] is shared by all nodes of a deployment. [Memory] is the engine of a single process. A hub joins an engine as a
// [Node] and gets a [Broker], which is its own handle. Everything that an engine does may cross a network:
//
//   - Calls take a context and return errors. The engine limits the duration of each call itself, so that a caller may pass a
//     context without a deadline on the hot path.
//   - Claim may take more than a second: if the name is held, the holder's node must find out whether the holder still
//     answers.
//   - An engine that cannot be reached returns [ErrUnavailable], which does not mean that a name is free or a client offline.
//
// # Names
//
// A name is an attribute of a client, not its identity. A claim consists of a name and an address. It ends when the client at
// that address releases it, when its node leaves, or when another client claims the name and the holder no longer answers.
// Releasing a name that another client holds by now does nothing, so an old connection that closes late cannot release its
// successor's name.
//
// # Order
//
// Messages that one goroutine routes to one address arrive in the order of the calls. Nothing else is guaranteed: messages
// are neither acknowledged nor stored.
package broker

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"errors"
)

var (
	// ErrTaken means that another client holds the name and still answers.
	ErrTaken = errors.New("name is held by another client")
	// ErrOffline means that no client holds the name, or that the client at the address has ended.
	ErrOffline = errors.New("no such client")
	// ErrBusy means that the recipient's node dropped the message, because too many bytes or messages wait for the
	// recipient. The sender may try again.
	ErrBusy = errors.New("recipient has too many messages waiting")
	// ErrUnsupported means that the recipient's protocol does not support the message.
	ErrUnsupported = errors.New("recipient's protocol does not support the message")
	// ErrUnavailable means that the engine cannot be reached. The call may or may not have had an effect.
	ErrUnavailable = errors.New("broker is unavailable")
	// ErrLeft means that this node has left the engine.
	ErrLeft = errors.New("node has left the broker")
)

// ID is the identity of a client or of a node: 128 random bits, which cannot be guessed and are never reused.
type ID [16]byte

// NewID returns a new random ID.
func NewID() ID {
	var id ID
	_, _ = rand.Read(id[:]) // documented never to fail
	return id
}

// String returns the first 40 bits of the ID in base32. That is enough to find a client's lines in a log, but not enough to
// impersonate it.
func (id ID) String() string { return base32.StdEncoding.EncodeToString(id[:5]) }

// IsZero reports whether id is the zero ID, which no client or node has.
func (id ID) IsZero() bool { return id == ID{} }

// Addr is the address of a client: its node's ID and its own.
type Addr struct{ Node, Client ID }

// IsZero reports whether a is the zero Addr, which no client has.
func (a Addr) IsZero() bool { return a == Addr{} }

// String returns the whole address in base64url. It is not a secret: a client that knows it can send to this client, but
// cannot impersonate it.
func (a Addr) String() string {
	return base64.RawURLEncoding.EncodeToString(append(a.Node[:], a.Client[:]...))
}

// ParseAddr parses the result of [Addr.String].
func ParseAddr(s string) (a Addr, ok bool) {
	const size = len(a.Node) + len(a.Client)
	var raw [size]byte
	if len(s) != base64.RawURLEncoding.EncodedLen(size) {
		return Addr{}, false
	}
	if _, err := base64.RawURLEncoding.Strict().Decode(raw[:], []byte(s)); err != nil {
		return Addr{}, false
	}
	copy(a.Node[:], raw[:len(a.Node)])
	copy(a.Client[:], raw[len(a.Node):])
	return a, true
}

// Kind is the kind of a message. It determines the effect of the message on the pair that its sender and recipient form.
type Kind uint8

const (
	// Offer makes sender and recipient a pair: from now on each may send the other answers, candidates and a leave.
	Offer Kind = iota
	// Answer replies to an offer within a pair.
	Answer
	// Candidate adds an ICE candidate within a pair.
	Candidate
	// Leave ends a pair. It has no payload.
	Leave
	// Note is any other message, between clients whose protocols support notes. It makes them a pair as well.
	Note
	// Kinds is the number of kinds.
	Kinds
)

// String returns the name of the kind in lower case, which is also its metric label.
func (k Kind) String() string {
	return [...]string{"offer", "answer", "candidate", "leave", "note", "unknown"}[min(k, Kinds)]
}

// Message is a message from one client to another.
type Message struct {
	Kind Kind
	// From and FromName are the sender's address and name. The sender's hub sets them; nothing that the client writes can
	// change them. FromName is "" if the sender has no name.
	From     Addr
	FromName string
	// Label is the type of a Note, as the protocol defines it.
	Label string
	// Gone is set in a Leave if the sender has ended.
	Gone bool
	// Payload is forwarded byte for byte. It is valid until Route or Deliver returns; a Node that retains it must copy it.
	Payload []byte
}

// Node is the part of a hub that an engine calls. Its methods must be safe for concurrent use.
type Node interface {
	// Deliver passes a message to a client of this node, and returns at once. The error is ErrOffline if the node does not have
	// that client, ErrBusy or ErrUnsupported.
	Deliver(to ID, m Message) error
	// Probe pings a client of this node and reports whether it answers. It may block for a second.
	Probe(ctx context.Context, client ID) bool
	// Presence notifies a client of this node whether a name that it watches is held. The engine makes the calls for one
	// name in the order of the changes. Presence must not call the engine, because the engine holds its lock on the name.
	Presence(client ID, name string, held bool)
	// Evict ends a client of this node that has lost its name to another client. It does not wait until the client has ended.
	Evict(client ID)
}

// Broker is one node's handle of an engine. It is safe for concurrent use. After Leave, its methods return ErrLeft.
type Broker interface {
	// Claim gives the name to a client of this node. If another client holds the name, Claim probes it: if the holder answers,
	// Claim returns ErrTaken, otherwise it replaces and evicts the holder. Claiming a name that the client already holds
	// succeeds.
	Claim(ctx context.Context, name string, client ID) error
	// Local reports whether the engine is part of this process, so that all methods except Claim return at once.
	Local() bool
	// TryClaim is Claim without a probe. It reports whether the client holds the name now, and returns false if another client
	// does. It returns at once if the broker is local.
	TryClaim(name string, client ID) bool
	// Release frees the name if that client of this node still holds it. Otherwise it does nothing.
	Release(ctx context.Context, name string, client ID) error
	// Transfer moves a name from one client of this node to another one. The name is never free in between. Transfer reports
	// whether from held the name.
	Transfer(ctx context.Context, name string, from, to ID) (bool, error)
	// Watch notifies a client of this node, through Node.Presence, whether a name is held: once before it returns, and then at
	// every change until Unwatch.
	Watch(ctx context.Context, name string, client ID) error
	Unwatch(ctx context.Context, name string, client ID) error
	// Find returns the address of the client that holds a name. The error is ErrOffline if the name is free.
	Find(ctx context.Context, name string) (Addr, error)
	// Route delivers a message to a client of any node. The error is ErrOffline if the client has ended, ErrBusy if too
	// many bytes or messages wait for it, or ErrUnsupported if its protocol does not support the message.
	Route(ctx context.Context, to Addr, m Message) error
	// Leave removes the node from the engine and frees the names that its clients hold.
	Leave(ctx context.Context) error
}

// Engine is the shared state of all nodes.
type Engine interface {
	// Join adds a node. It returns the node's handle and its ID.
	Join(ctx context.Context, n Node) (b Broker, self ID, err error)
}
