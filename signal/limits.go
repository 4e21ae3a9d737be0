package signal

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// AccessMode says who may sign in and ask for credentials.
type AccessMode string

const (
	// Open lets everybody in. Who can sign in can relay.
	Open AccessMode = "open"
	// ByKey lets in who knows one of the keys.
	ByKey AccessMode = "key"
	// ByToken lets in who has a token that names it.
	ByToken AccessMode = "jwt"
)

// Grant is what a token says of its bearer. The zero Grant says nothing and allows everything.
type Grant struct {
	Name    string    // the only one it may have; any if empty
	Calls   []string  // the calls it may be in, if Limited
	Limited bool      // to Calls
	Expires time.Time // when it has to go; never if zero
}

// TokenVerifier judges tokens. Its errors are ErrTokenInvalid, ErrTokenExpired or ErrUnavailable, perhaps wrapped.
type TokenVerifier interface {
	Verify(ctx context.Context, token string) (Grant, error)
}

// CallLimits bound calls by ID.
type CallLimits struct {
	Parties    int           // in one call: 2 to 8
	PerClient  int           // calls that one client is in
	OnePerUser bool          // who is in a call can't be in another, whatever number of clients the name has had
	Total      int           // calls; 0 is no limit
	Unjoined   time.Duration // after which a call ends that nobody has joined
	KeptBytes  int           // of one call, for who joins it

	// Kept by all calls, and of what one address has sent to them; 0 is no limit.
	KeptTotal, KeptPerAddr int // bytes
}

// TopicLimits bound topics, of each protocol that has them.
type TopicLimits struct {
	PerClient   int // that one client has subscribed to
	Subscribers int // of one topic
	// Subscriptions of one address and in all; 0 is no limit. An address is a /64 where it is IPv6.
	PerAddr, Total int
}

// Key is a shared API key. Its name is what logs show.
type Key struct{ Name, Key string }

// Limits are what may change while the daemon runs. They are replaced as a whole; open connections meet the
// new ones with their next message, except the numbers of connections, which stop only newcomers.
type Limits struct {
	Access AccessMode
	Keys   []Key
	Tokens TokenVerifier // not nil with ByToken
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

	// For how long a lost connection may be resumed, and what is kept meanwhile.
	ResumeWithin   time.Duration
	ResumeMessages int
	ResumeBytes    int // at least MaxMessage
	WatchedNames   int // by one client

	// Waiting for clients to read or to come back, of each address and in all, in bytes beyond 16 KiB each; 0 is no limit.
	WaitingPerAddr, WaitingTotal int

	// Discovery lets clients of a protocol that has a way to ask know who is there.
	Discovery bool

	Calls  CallLimits
	Topics TopicLimits

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

		ResumeWithin:   30 * time.Second,
		ResumeMessages: 256,
		ResumeBytes:    512 << 10,
		WatchedNames:   128,

		WaitingPerAddr: 16 << 20,
		WaitingTotal:   128 << 20,

		Calls: CallLimits{
			Parties: 2, PerClient: 8, Total: 10_000, Unjoined: time.Hour, KeptBytes: 64 << 10,
			KeptTotal: 64 << 20, KeptPerAddr: 2 << 20,
		},
		Topics: TopicLimits{PerClient: 128, Subscribers: 256, PerAddr: 2_000, Total: 20_000},

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
	refuse(l.Access != Open && l.Access != ByKey && l.Access != ByToken,
		"access %q is neither %q, %q nor %q", l.Access, Open, ByKey, ByToken)
	refuse(l.Access == ByToken && l.Tokens == nil, "access is by token, but nothing verifies tokens")
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
	refuse(l.ResumeWithin < 0, "the time to resume is negative")
	refuse(l.ResumeMessages < 8, "%d messages kept for resuming are below 8", l.ResumeMessages)
	refuse(int64(l.ResumeBytes) < l.MaxMessage, "%d bytes kept for resuming are below one message of %d", l.ResumeBytes, l.MaxMessage)
	refuse(min(l.WaitingPerAddr, l.WaitingTotal) < 0, "a limit on what waits is negative")
	refuse(l.WaitingPerAddr > 0 && l.WaitingPerAddr < l.QueueBytes+l.ResumeBytes,
		"%d bytes that wait for one address do not hold one client's queue and what is kept for it to resume", l.WaitingPerAddr)
	refuse(l.WaitingTotal > 0 && l.WaitingTotal < l.WaitingPerAddr, "%d bytes that wait in all are below %d for one address", l.WaitingTotal, l.WaitingPerAddr)
	refuse(l.WatchedNames < 0, "a number of watched names is negative")
	refuse(l.Calls.Parties < 2 || l.Calls.Parties > 8, "%d parties of a call are not 2 to 8", l.Calls.Parties)
	refuse(l.Calls.PerClient < 1, "%d calls per client are below 1", l.Calls.PerClient)
	refuse(min(l.Calls.Total, l.Calls.KeptBytes, l.Calls.KeptTotal, l.Calls.KeptPerAddr) < 0, "a limit on calls is negative")
	refuse(l.Calls.Unjoined < time.Second, "a call that ends unjoined after %v is too short", l.Calls.Unjoined)
	refuse(l.Topics.PerClient < 1 || l.Topics.Subscribers < 1, "no topic can be subscribed to")
	refuse(l.Topics.PerAddr < 0 || l.Topics.Total < 0, "a number of subscriptions is negative")
	refuse(l.ConnsPerAddr < 0 || l.ConnsTotal < 0, "a number of connections is negative")
	refuse(l.MintsPerAddr < 0 || l.MintsTotal < 0, "a number of credentials is negative")
	return errors.Join(errs...)
}
