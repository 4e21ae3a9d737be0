// Package broker is where hubs find each other's clients. It knows three things: which client holds which
// name, on which node that client lives, and how to hand a message to that node. It knows nothing about
// sockets, frames or protocols.
//
// # Roles
//
// An [Engine] is shared by every node of a deployment; [Memory] is the one for a single process. A hub joins
// it as a [Node] and gets a [Broker], its own handle. Everything an engine does may cross a network:
//
//   - calls take a context and return errors, and an engine bounds each call itself, so that a caller may
//     pass a context without a deadline on the hot path;
//   - Claim may take more than a second, because a clash is settled by asking the old holder's node whether
//     its client still answers;
//   - an engine that can't be reached answers [ErrUnavailable], which callers must not take for "free" or
//     "offline".
//
// # Names
//
// A name is an attribute of a client, never its identity. A claim is (name, address); it ends when exactly
// that address releases it, when its node leaves, or when a newcomer replaces it because the holder no
// longer answers. Releasing a name that somebody else holds by now does nothing, so an old connection that
// closes late can't free its successor's name.
//
// # Order
//
// Messages routed one after the other by one goroutine to one address arrive in that order. Nothing else is
// promised: no acknowledgement, no storage.
package broker

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"errors"
)

var (
	// ErrTaken says that another client, which still answers, holds the name.
	ErrTaken = errors.New("name is held by another client")
	// ErrOffline says that nobody holds the name, or that the address is gone.
	ErrOffline = errors.New("no such client")
	// ErrBusy says that the recipient can't take the message now: too much of the same sender is waiting.
	ErrBusy = errors.New("recipient has too many messages waiting")
	// ErrUnsupported says that the recipient's protocol has no such message.
	ErrUnsupported = errors.New("recipient's protocol has no such message")
	// ErrUnavailable says that the engine can't be asked. What it would have answered is unknown.
	ErrUnavailable = errors.New("broker is unavailable")
	// ErrLeft says that this node has left the engine.
	ErrLeft = errors.New("node has left the broker")
)

// ID is the random identity of a client or of a node: 128 bits nobody can guess, never reused.
type ID [16]byte

// NewID returns a fresh ID.
func NewID() ID {
	var id ID
	_, _ = rand.Read(id[:]) // documented never to fail
	return id
}

// String returns the first 40 bits of the ID in base32: enough to follow a client through a log, not enough
// to pose as it.
func (id ID) String() string { return base32.StdEncoding.EncodeToString(id[:5]) }

// IsZero reports whether id is nobody's.
func (id ID) IsZero() bool { return id == ID{} }

// Addr is where a client can be reached.
type Addr struct{ Node, Client ID }

// IsZero reports whether a is nobody's.
func (a Addr) IsZero() bool { return a == Addr{} }

// String returns the whole address in base64. Knowing it lets one send to the client, no more.
func (a Addr) String() string {
	return base64.RawURLEncoding.EncodeToString(append(a.Node[:], a.Client[:]...))
}

// ParseAddr reads what String wrote.
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

// Kind is what a message does to the pair of clients it travels between.
type Kind uint8

const (
	// Offer opens a pair: from here on both sides may send each other answers, candidates and a leave.
	Offer Kind = iota
	// Answer replies to an offer within a pair.
	Answer
	// Candidate adds an ICE candidate within a pair.
	Candidate
	// Leave ends a pair. It has no payload.
	Leave
	// Note is any other message, between clients whose protocols have such. It opens a pair as well.
	Note
	// Kinds is how many kinds there are.
	Kinds
)

// String returns the lower-case name of the kind, which is its metric label too.
func (k Kind) String() string {
	return [...]string{"offer", "answer", "candidate", "leave", "note", "unknown"}[min(k, Kinds)]
}

// Message is what travels from one client to another.
type Message struct {
	Kind Kind
	// From and FromName are set by the sender's hub from what the client signed in as, never from what the
	// client wrote.
	From     Addr
	FromName string
	// Label says what a Note is, in the words of the protocol.
	Label string
	// Gone, with a Leave, says that the sender's client has ended.
	Gone bool
	// Payload is forwarded byte for byte. It is lent for the length of the call: who keeps it copies it.
	Payload []byte
}

// Node is a hub as an engine sees it. Engines call it from any goroutine.
type Node interface {
	// Deliver hands a message to a client of this node and returns at once. ErrOffline: it isn't here.
	Deliver(to ID, m Message) error
	// Probe reports whether the client still answers. It may take a second.
	Probe(ctx context.Context, client ID) bool
	// Presence tells a client whether a name that it watches is held. Calls for one name are made in the
	// order of what they tell, with the engine's lock on the name held: it must not call the engine.
	Presence(client ID, name string, held bool)
	// Evict ends a client that has lost its name to a newcomer, without waiting for the end.
	Evict(client ID)
}

// Broker is one node's handle on an engine, safe for concurrent use.
type Broker interface {
	// Claim gives the name to a client of this node. A clash probes the holder: a dead one is replaced and
	// evicted, a living one means ErrTaken. Claiming a name one already holds succeeds.
	Claim(ctx context.Context, name string, client ID) error
	// Local reports whether the broker crosses no network, so that all other calls than Claim return at once.
	Local() bool
	// TryClaim is Claim where the name is free. It reports whether it was, and returns at once if the broker is near.
	TryClaim(name string, client ID) bool
	// Release frees the name if that client of this node still holds it, and else does nothing.
	Release(ctx context.Context, name string, client ID) error
	// Transfer gives a name that one client of this node holds to another one of it, without a moment
	// between. It reports whether the first held it.
	Transfer(ctx context.Context, name string, from, to ID) (bool, error)
	// Watch tells a client of this node, through Node.Presence, whether a name is held: once before it
	// returns, and then whenever that changes, until Unwatch.
	Watch(ctx context.Context, name string, client ID) error
	Unwatch(ctx context.Context, name string, client ID) error
	// Find returns the holder of a name, or ErrOffline.
	Find(ctx context.Context, name string) (Addr, error)
	// Route delivers a message. ErrOffline: the client has gone; ErrBusy: it can't take more from this sender.
	Route(ctx context.Context, to Addr, m Message) error
	// Leave takes the node out and frees the names it still holds. Later calls answer ErrLeft.
	Leave(ctx context.Context) error
}

// Engine lets nodes join.
type Engine interface {
	Join(ctx context.Context, n Node) (b Broker, self ID, err error)
}
