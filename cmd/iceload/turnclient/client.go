// Package turnclient is the client's side of TURN (RFC 8656) for very many clients in
// one thread. It does no I/O.
//
// A [Session] is one client: it writes requests and digests the answers. A [Runner]
// takes many sessions through scripts of requests, a bounded number of them at a time,
// repeats over UDP what is not answered (RFC 8489 section 6.2.1), and keeps how long
// each kind of request took.
//
// A client begins as one that knows nothing: its first Allocate is unsigned, and the
// challenge that answers it costs a round trip, as with a browser.
package turnclient

import (
	"errors"
	"fmt"
	"net/netip"

	"icebox/turnserver/credential"
	"icebox/turnserver/wire"
)

// Step is a request of a client's script.
type Step uint8

// The steps.
const (
	Allocate         Step = iota
	CreatePermission      // for the IP address of the peer
	BindChannel           // to the peer
	Refresh               // for as long as the server likes
	Release               // a Refresh with lifetime 0
	numSteps
)

// String names the step.
func (s Step) String() string {
	return [numSteps]string{"allocate", "permission", "channel", "refresh", "release"}[s]
}

// Account is what a client signs in with.
type Account struct{ Username, Password string }

// ErrIntegrity reports an answer that the server could not have signed.
var ErrIntegrity = errors.New("the answer's message-integrity is wrong or missing")

// CodeError is a request that was refused for good.
type CodeError struct {
	Step Step
	Code wire.Code
}

func (e *CodeError) Error() string {
	return fmt.Sprintf("%v: %d %s%s", e.Step, e.Code, e.Code.Reason(), hints[e.Code])
}

// hints say what a user of a load generator can do about a refusal.
var hints = map[wire.Code]string{
	wire.Unauthorized:           " (is the user name or password wrong?)",
	wire.Forbidden:              " (does the server allow this peer address?)",
	wire.AllocationQuotaReached: " (raise the server's quotas; with a shared secret each allocation has a user of its own)",
	wire.InsufficientCapacity:   " (is the range of relay ports or a limit of the server used up?)",
}

// Session is one client. Its exported fields up to Relayed are set before the first request.
type Client struct {
	Account Account
	Peer    netip.AddrPort
	Channel uint16

	// Relayed is the relayed transport address, once there is an allocation.
	Relayed netip.AddrPort

	realm, nonce string
	key          []byte
}

// Reset forgets the allocation, and all that the server said.
func (c *Client) Reset() {
	c.Relayed = netip.AddrPort{}
	c.realm, c.nonce, c.key = "", "", nil
}

// request appends the request of a step to buf.
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

// answer digests the answer to a step. retry tells that it was a challenge, after
// which the request is to be sent again.
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
		return false, errors.New("allocate: the answer has no relayed address")
	}
	c.Relayed = relayed
	return false, nil
}

// refused digests an error response.
func (c *Client) handleError(step Step, m *wire.Message) (retry bool, err error) {
	code := errorCode(m)
	stranger := code == wire.Unauthorized && c.key == nil
	if !stranger && code != wire.StaleNonce {
		return false, &CodeError{step, code}
	}
	realm, _ := m.Get(wire.AttrRealm)
	nonce, ok := m.Get(wire.AttrNonce)
	if !ok {
		return false, fmt.Errorf("%v: the server's %d has no nonce", step, code)
	}
	c.nonce = string(nonce)
	if stranger {
		c.realm = string(realm)
		c.key = credential.LongTermKey(c.Account.Username, c.realm, c.Account.Password)
	}
	return true, nil
}

// errorCode reads ERROR-CODE; it is 0 if there is none.
func errorCode(m *wire.Message) wire.Code {
	value, _ := m.Get(wire.AttrErrorCode)
	if len(value) < 4 {
		return 0
	}
	return wire.Code(int(value[2]&7)*100 + int(value[3]))
}
