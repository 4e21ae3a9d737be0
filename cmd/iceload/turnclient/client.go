// Package turnclient is the client side of TURN (RFC 8656), for many thousands of clients in one
// thread. It does no I/O.
//
// A [Client] writes requests and interprets responses. A [Runner] runs scripts of requests for many
// clients, a limited number of them at a time. Over UDP it retransmits requests that get no
// response (RFC 8489 section 6.2.1). It records how long each kind of request took.
//
// A client starts without a realm or nonce. Its first Allocate request is therefore
// unauthenticated, and the 401 response costs one round trip, as it does in a browser.
package turnclient

import (
	"errors"
	"fmt"
	"net/netip"

	"icebox/turnserver/credential"
	"icebox/turnserver/wire"
)

// Step is one request of a client's script.
type Step uint8

// The steps.
const (
	Allocate         Step = iota
	CreatePermission      // for the peer's IP address
	BindChannel           // binds the client's channel to the peer
	Refresh               // leaves the lifetime to the server
	Release               // a Refresh with lifetime 0
	numSteps
)

// String returns the name of the step in reports.
func (s Step) String() string {
	return [numSteps]string{"allocate", "permission", "channel", "refresh", "release"}[s]
}

// Account is a client's long-term credential.
type Account struct{ Username, Password string }

// ErrIntegrity means that a response's MESSAGE-INTEGRITY is wrong or missing.
var ErrIntegrity = errors.New("the response's MESSAGE-INTEGRITY is wrong or missing")

// CodeError is the error of a request that the server refused with an error code.
type CodeError struct {
	Step Step
	Code wire.Code
}

func (e *CodeError) Error() string {
	return fmt.Sprintf("%v: %d %s%s", e.Step, e.Code, e.Code.Reason(), hints[e.Code])
}

// hints has advice for the user of the load generator about some error codes.
var hints = map[wire.Code]string{
	wire.Unauthorized:           " (is the user name or password wrong?)",
	wire.Forbidden:              " (does the server allow this peer address?)",
	wire.AllocationQuotaReached: " (raise the server's quotas; with a shared secret each allocation has a user of its own)",
	wire.InsufficientCapacity:   " (is the range of relay ports or a limit of the server used up?)",
}

// Client is one TURN client. Account, Peer and Channel must be set before its first request.
type Client struct {
	Account Account
	Peer    netip.AddrPort
	Channel uint16

	// Relayed is the relayed transport address, once the client has an allocation.
	Relayed netip.AddrPort

	realm, nonce string
	key          []byte
}

// Reset clears the relayed address and everything that the server has sent, so that the client
// starts over.
func (c *Client) Reset() {
	c.Relayed = netip.AddrPort{}
	c.realm, c.nonce, c.key = "", "", nil
}

// appendRequest appends the request of a step to buf.
func (c *Client) appendRequest(buf []byte, step Step, id [wire.TransactionIDSize]byte) []byte {
	b := wire.NewBuilder(buf, step.method(), wire.Request, id)
	switch step {
	case Allocate:
		b.Attribute(wire.AttrRequestedTransport, []byte{17, 0, 0, 0}) // UDP
		if c.Peer.Addr().Is6() {
			b.Attribute(wire.AttrRequestedAddressFamily, []byte{byte(wire.IPv6), 0, 0, 0})
		}
	case CreatePermission:
		b.XORAddress(wire.AttrXORPeerAddress, c.Peer)
	case BindChannel:
		b.Attribute(wire.AttrChannelNumber, []byte{byte(c.Channel >> 8), byte(c.Channel), 0, 0}).
			XORAddress(wire.AttrXORPeerAddress, c.Peer)
	case Release:
		b.Lifetime(0)
	}
	if c.key != nil {
		b.Text(wire.AttrUsername, c.Account.Username).
			Text(wire.AttrRealm, c.realm).
			Text(wire.AttrNonce, c.nonce).
			Integrity(c.key)
	}
	return b.Bytes()
}

func (s Step) method() wire.Method {
	return [numSteps]wire.Method{wire.Allocate, wire.CreatePermission, wire.ChannelBind, wire.Refresh, wire.Refresh}[s]
}

// handleResponse handles the response to a step. If it returns retry, the response was a challenge
// and the request must be sent again.
func (c *Client) handleResponse(step Step, m *wire.Message) (retry bool, err error) {
	if m.Class == wire.Error {
		return c.handleError(step, m)
	}
	if !m.CheckIntegrity(c.key) {
		return false, fmt.Errorf("%v: %w", step, ErrIntegrity)
	}
	if step != Allocate {
		return false, nil
	}
	value, _ := m.Get(wire.AttrXORRelayedAddress)
	relayed, ok := m.XORAddress(value)
	if !ok {
		return false, errors.New("allocate: the response has no XOR-RELAYED-ADDRESS")
	}
	c.Relayed = relayed
	return false, nil
}

// handleError handles an error response. A 401 response counts as a challenge only if the client
// had no key yet; a 438 response always does.
func (c *Client) handleError(step Step, m *wire.Message) (retry bool, err error) {
	code := errorCode(m)
	challenged := code == wire.Unauthorized && c.key == nil
	if !challenged && code != wire.StaleNonce {
		return false, &CodeError{step, code}
	}
	realm, _ := m.Get(wire.AttrRealm)
	nonce, ok := m.Get(wire.AttrNonce)
	if !ok {
		return false, fmt.Errorf("%v: the server's %d response has no NONCE", step, code)
	}
	c.nonce = string(nonce)
	if challenged {
		c.realm = string(realm)
		c.key = credential.LongTermKey(c.Account.Username, c.realm, c.Account.Password)
	}
	return true, nil
}

// errorCode returns the value of ERROR-CODE, or 0 if there is none.
func errorCode(m *wire.Message) wire.Code {
	value, _ := m.Get(wire.AttrErrorCode)
	if len(value) < 4 {
		return 0
	}
	return wire.Code(int(value[2]&7)*100 + int(value[3]))
}
