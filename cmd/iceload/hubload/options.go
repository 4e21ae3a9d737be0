package hubload

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Protocol is what clients speak.
type Protocol string

// The protocols.
const (
	Classic Protocol = "classic"
	Native  Protocol = "native"
)

// Kind is what messages between clients are.
type Kind string

// The kinds.
const (
	Candidate Kind = "candidate"
	Offer     Kind = "offer"
)

// Bounds of what can be asked for.
const (
	MaxClients  = 100_000
	MaxWindow   = 1024
	MaxRate     = 1_000_000
	MaxDuration = time.Hour
	MinSize     = 80
	MaxSize     = 64 << 10
)

// patience is how long a client waits for what must come.
const replyTimeout = 15 * time.Second

// Options say who is loaded, and how.
type Options struct {
	Server   netip.AddrPort
	TLS      bool   // certificates are not verified
	Host     string // by which the server is addressed; its address if empty
	Path     string // of the WebSocket
	Protocol Protocol
	Window   int // sign-ins under way at a time
}

// Validate says what is wrong with the options.
func (o *Options) Validate() error {
	var errs []error
	if !o.Server.IsValid() {
		errs = append(errs, errors.New("there is no server"))
	}
	if o.Protocol != Classic && o.Protocol != Native {
		errs = append(errs, fmt.Errorf("protocol is %q: must be %s or %s", o.Protocol, Classic, Native))
	}
	if o.Window < 1 || o.Window > MaxWindow {
		errs = append(errs, fmt.Errorf("window is %d: must be 1 to %d", o.Window, MaxWindow))
	}
	return errors.Join(errs...)
}

// Exchange is a load of messages.
type Exchange struct {
	Kind Kind
	Size int // bytes of one candidate or offer, as JSON
	Rate int // per second, of all clients together
}

// Validate says what is wrong with the exchange.
func (e *Exchange) Validate() error {
	if e.Size < MinSize || e.Size > MaxSize {
		return fmt.Errorf("size is %d: must be %d to %d", e.Size, MinSize, MaxSize)
	}
	if e.Rate < 1 || e.Rate > MaxRate {
		return fmt.Errorf("rate is %d: must be 1 to %d", e.Rate, MaxRate)
	}
	return nil
}
