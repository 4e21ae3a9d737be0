package signal

import (
	"errors"
	"fmt"
	"net/netip"
)

// Access says who may sign in and ask for credentials.
type Access string

const (
	// Open lets everybody in. Who can sign in can relay.
	Open Access = "open"
	// ByKey lets in who knows one of the keys.
	ByKey Access = "key"
)

// Key is a shared API key. Its name is what logs show.
type Key struct{ Name, Key string }

// Limits are what may change while the daemon runs. They are replaced as a whole; open connections meet the
// new ones with their next message, except the numbers of connections, which stop only newcomers.
type Limits struct {
	Access Access
	Keys   []Key
	// Origins are the web origins let in beside this host's own, such as https://app.example.org; "null" for
	// pages from files; "*" for all, and for what names no origin.
	Origins []string
	// TrustedProxies may say for whom they speak (X-Forwarded-For, -Host, -Proto).
	TrustedProxies []netip.Prefix

	MaxMessage        int64   // bytes of one message
	MessagesPerSecond float64 // per client, on average
	MessageBurst      int     // per client, at once
	QueueMessages     int     // waiting for one client
	QueueBytes        int     // waiting for one client; at least MaxMessage

	// Connections and credentials; 0 is no limit. An address is a /64 where it is IPv6.
	ConnsPerAddr, ConnsTotal int
	// Minted credentials a minute, which may all come at once; 0 is no limit.
	MintsPerAddr, MintsTotal int
}

// DefaultLimits returns what holds where the operator says nothing.
func DefaultLimits() Limits {
	return Limits{
		Access:         Open,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},

		MaxMessage:        256 << 10,
		MessagesPerSecond: 30,
		MessageBurst:      100,
		QueueMessages:     256,
		QueueBytes:        1 << 20,

		ConnsPerAddr: 200,
		ConnsTotal:   20_000,
		MintsPerAddr: 60,
		MintsTotal:   3_000,
	}
}

// Validate reports every value that makes no sense.
func (l Limits) Validate() error {
	var errs []error
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	refuse(l.Access != Open && l.Access != ByKey, "access %q is neither %q nor %q", l.Access, Open, ByKey)
	refuse(l.Access == ByKey && len(l.Keys) == 0, "access is by key, but there is no key")
	for i, k := range l.Keys {
		refuse(k.Name == "", "key %d has no name", i+1)
		refuse(k.Key == "", "key %q is empty", k.Name)
	}
	refuse(l.MaxMessage < 1<<10, "max message %d is below 1024 bytes", l.MaxMessage)
	refuse(l.MessagesPerSecond <= 0, "messages per second %v is not above 0", l.MessagesPerSecond)
	refuse(l.MessageBurst < 1, "message burst %d is below 1", l.MessageBurst)
	refuse(l.QueueMessages < 8, "queue of %d messages is below 8", l.QueueMessages)
	refuse(int64(l.QueueBytes) < l.MaxMessage, "queue of %d bytes is below one message of %d", l.QueueBytes, l.MaxMessage)
	refuse(l.ConnsPerAddr < 0 || l.ConnsTotal < 0, "a number of connections is negative")
	refuse(l.MintsPerAddr < 0 || l.MintsTotal < 0, "a number of credentials is negative")
	return errors.Join(errs...)
}
