package signal

import (
	"net/netip"

	"icebox/signal/broker"
)

// MaxNamespace is the length limit of [Profile.Namespace], in bytes.
const MaxNamespace = 128

// Profile describes how the core treats the clients of a protocol.
type Profile struct {
	// Protocol is the metric label.
	Protocol string
	// Namespace holds the names of the protocol's clients. The same name in two namespaces belongs to two clients, which can
	// neither reach nor replace each other. Clients never see the namespace. It is UTF-8 of at most MaxNamespace bytes; "" is
	// the namespace of icebox's own protocols.
	Namespace string
	// ByID means that the protocol also addresses clients by ID, so its clients accept notes, and messages from clients
	// without a name.
	ByID bool
	// Pairs limits how many pairs a client has at the same time; 0 means 32. If it is negative, the protocol has no pairs:
	// its clients send only notes, and the hub notifies no other client when one of them ends.
	Pairs int
	// Presence returns the frame that notifies a client whether a name that it watches is held.
	Presence func(name string, held bool) []byte
	// Encode appends the frame of a message from another client to a buffer. It must not retain the message's payload.
	Encode func([]byte, broker.Message) []byte
	// Expires makes the hub end each client when its token expires. Protocols in which a client can renew its token leave it
	// false and end clients themselves.
	Expires bool
	// OneCall means that a leave in this protocol does not name its sender. A client is then notified only of a leave in its
	// latest pair, because any other leave would make it end the wrong call.
	OneCall bool
	// Loose lets clients send and receive answers, candidates and leaves outside pairs. It is for clients that do not begin
	// a call with an offer.
	Loose bool
}

// Visitor describes a connection before its client has sent anything.
type Visitor struct {
	Addr  netip.Addr
	Host  string // the host name or address in the client's request, without port
	Key   string // name of the API key that the request contained, if any
	Base  string // the origin in the client's request, such as https://turn.example.org; may be empty
	Grant Grant  // from the token that the request contained, if any
}
