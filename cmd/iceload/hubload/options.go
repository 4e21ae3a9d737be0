package hubload

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Protocol is the signalling protocol that clients use.
type Protocol string

// The protocols.
const (
	Classic Protocol = "classic"
	Native  Protocol = "native"
)

// Kind is the kind of message that clients send each other.
type Kind string

// The kinds.
const (
	Candidate Kind = "candidate"
	Offer     Kind = "offer"
)

// Limits of the options.
const (
	MaxClients  = 100_000
	MaxWindow   = 1024
	MaxRate     = 1_000_000
	MaxDuration = time.Hour
	MinSize     = 80
	MaxSize     = 64 << 10
)

// replyTimeout limits each wait for the server: for a connection, a reply or a message.
const replyTimeout = 15 * time.Second

// Options describe the server and how clients sign in there.
type Options struct {
	Server   netip.AddrPort
	TLS      bool   // without verifying the server's certificate
	Host     string // the Host header's value; empty means the server's address
	Path     string // of the WebSocket endpoint
	Protocol Protocol
	Window   int // concurrent sign-ins
}

// Validate returns an error that lists everything that is wrong with the options.
func (o *Options) Validate() error {
	var errs []error
	if !o.Server.IsValid() {
		errs = append(errs, errors.New("the server's address is missing"))
	}
	if o.Protocol != Classic && o.Protocol != Native {
		errs = append(errs, fmt.Errorf("protocol is %q: must be %s or %s", o.Protocol, Classic, Native))
	}
	if o.Window < 1 || o.Window > MaxWindow {
		errs = append(errs, fmt.Errorf("window is %d: must be 1 to %d", o.Window, MaxWindow))
	}
	return errors.Join(errs...)
}

// Exchange describes a load of messages.
type Exchange struct {
	Kind Kind
	Size int // of one candidate or offer as JSON, in bytes
	Rate int // messages per second, over all clients
}

// Validate returns an error if a value is out of range.
func (e *Exchange) Validate() error {
	if e.Size < MinSize || e.Size > MaxSize {
		return fmt.Errorf("size is %d: must be %d to %d", e.Size, MinSize, MaxSize)
	}
	if e.Rate < 1 || e.Rate > MaxRate {
		return fmt.Errorf("rate is %d: must be 1 to %d", e.Rate, MaxRate)
	}
	return nil
}
