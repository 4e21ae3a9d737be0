package signal

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// AccessMode determines which clients may sign in and get TURN credentials.
type AccessMode string

const (
	// Open admits everybody. A client that can sign in can also use the relay.
	Open AccessMode = "open"
	// ByKey admits clients that send one of the API keys.
	ByKey AccessMode = "key"
	// ByToken admits clients that send a valid JSON Web Token. The token determines the client's name.
	ByToken AccessMode = "jwt"
)

// Grant contains the rights that a token gives to its bearer. The zero Grant has no restrictions.
type Grant struct {
	Name    string    // the only name that the client may sign in under; any if empty
	Calls   []string  // IDs of the calls that the client may make or join, if Limited
	Limited bool      // the client may only make or join Calls
	Expires time.Time // when the hub disconnects the client; never if zero
}

// TokenVerifier verifies tokens. Its errors wrap ErrTokenInvalid, ErrTokenExpired or ErrUnavailable, or are one of them.
type TokenVerifier interface {
	Verify(ctx context.Context, token string) (Grant, error)
}

// CallLimits are the limits on calls by ID.
type CallLimits struct {
	Parties    int           // of one call: 2 to 8
	PerClient  int           // calls that one client may be in
	OnePerUser bool          // a user may be in one call at a time, no matter with how many clients
	Total      int           // calls of all clients; 0 means unlimited
	Unjoined   time.Duration // a call ends after this time if nobody has joined it
	KeptBytes  int           // of messages that one call stores for clients that join later

	// KeptTotal limits the bytes that all calls together store for clients that join later. KeptPerAddr limits the bytes
	// that they store of messages from one address. 0 means unlimited.
	KeptTotal, KeptPerAddr int
}

// TopicLimits are the limits on topics. They apply to each protocol that has topics separately.
type TopicLimits struct {
	PerClient   int // topics that one client may subscribe to
	Subscribers int // of one topic
	// PerAddr limits the subscriptions of one address (see Options.ClientPrefix), and Total those of all clients; 0 means unlimited.
	PerAddr, Total int
}

// Key is an API key. Logs contain its name, never the key.
type Key struct{ Name, Key string }

// Limits can change while the daemon runs. They are replaced as a whole. The new ones apply to open connections from their
// next message on, except the limits on the number of connections, which apply to new connections only.
type Limits struct {
	Access AccessMode
	Keys   []Key
	Tokens TokenVerifier // not nil with ByToken
	// Origins are the web origins that may connect, in addition to this host's own, such as https://app.example.org. "null"
	// stands for pages opened from files, and "*" for all origins and for requests without one.
	Origins []string
	// TrustedProxies are the proxies whose X-Forwarded-For, X-Forwarded-Host and X-Forwarded-Proto headers are believed.
	TrustedProxies []netip.Prefix

	MaxMessage        int64   // bytes of one message
	MessagesPerSecond float64 // per client, on average
	MessageBurst      int     // per client, at once
	QueueMessages     int     // waiting for one client
	QueueBytes        int     // waiting for one client; at least MaxMessage

	// ResumeWithin is how long a client may take to resume after it has lost its connection.
	ResumeWithin   time.Duration
	ResumeMessages int // kept for one client so that it can resume
	ResumeBytes    int // of those messages; at least MaxMessage
	WatchedNames   int // that one client may watch

	// WaitingPerAddr limits the bytes that wait for the clients of one address to read or to resume, and WaitingTotal those of
	// all clients. The first 16 KiB of each queue and replay buffer are not counted. 0 means unlimited.
	WaitingPerAddr, WaitingTotal int

	// Discovery lets clients list the connected clients, if their protocol has a request for that.
	Discovery bool

	Calls  CallLimits
	Topics TopicLimits

	// ConnsPerAddr limits the connections of one address (see Options.ClientPrefix), and ConnsTotal all connections; 0 means unlimited.
	ConnsPerAddr, ConnsTotal int
	// MintsPerAddr limits the TURN credentials that one address gets per minute, and MintsTotal those that all clients get
	// per minute. A client may use the allowance of a minute in one burst. 0 means unlimited.
	MintsPerAddr, MintsTotal int
}

// DefaultLimits returns the limits of a daemon without configuration.
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

// Validate returns an error that lists every invalid value.
func (l Limits) Validate() error {
	var errs []error
	reject := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	reject(l.Access != Open && l.Access != ByKey && l.Access != ByToken,
		"access %q is none of %q, %q and %q", l.Access, Open, ByKey, ByToken)
	reject(l.Access == ByToken && l.Tokens == nil, "access is by token, but there is no token verifier")
	reject(l.Access == ByKey && len(l.Keys) == 0, "access is by key, but there is no key")
	for i, k := range l.Keys {
		reject(k.Name == "", "key %d has no name", i+1)
		reject(k.Key == "", "key %q is empty", k.Name)
	}
	reject(l.MaxMessage < 1<<10, "largest message of %d bytes is below 1024 bytes", l.MaxMessage)
	reject(l.MessagesPerSecond <= 0, "messages per second %v is not above 0", l.MessagesPerSecond)
	reject(l.MessageBurst < 1, "message burst %d is below 1", l.MessageBurst)
	reject(l.QueueMessages < 8, "queue of %d messages is shorter than 8 messages", l.QueueMessages)
	reject(int64(l.QueueBytes) < l.MaxMessage,
		"queue of %d bytes is smaller than the largest message, %d bytes", l.QueueBytes, l.MaxMessage)
	reject(l.ResumeWithin < 0, "the time to resume is negative")
	reject(l.ResumeMessages < 8, "replay buffer of %d messages is shorter than 8 messages", l.ResumeMessages)
	reject(int64(l.ResumeBytes) < l.MaxMessage,
		"replay buffer of %d bytes is smaller than the largest message, %d bytes", l.ResumeBytes, l.MaxMessage)
	reject(min(l.WaitingPerAddr, l.WaitingTotal) < 0, "a limit on waiting bytes is negative")
	reject(l.WaitingPerAddr > 0 && l.WaitingPerAddr < l.QueueBytes+l.ResumeBytes,
		"limit of %d waiting bytes per address is smaller than the queue and the replay buffer of one client",
		l.WaitingPerAddr)
	reject(l.WaitingTotal > 0 && l.WaitingTotal < l.WaitingPerAddr,
		"limit of %d waiting bytes in total is smaller than the limit of %d per address",
		l.WaitingTotal, l.WaitingPerAddr)
	reject(l.WatchedNames < 0, "the limit on watched names is negative")
	reject(l.Calls.Parties < 2 || l.Calls.Parties > 8, "limit of %d parties per call is not between 2 and 8", l.Calls.Parties)
	reject(l.Calls.PerClient < 1, "limit of %d calls per client is below 1", l.Calls.PerClient)
	reject(min(l.Calls.Total, l.Calls.KeptBytes, l.Calls.KeptTotal, l.Calls.KeptPerAddr) < 0, "a limit on calls is negative")
	reject(l.Calls.Unjoined < time.Second, "%v until an unjoined call ends is less than 1s", l.Calls.Unjoined)
	reject(l.Topics.PerClient < 1 || l.Topics.Subscribers < 1,
		"the limit on topics per client or on subscribers per topic is below 1")
	reject(l.Topics.PerAddr < 0 || l.Topics.Total < 0, "a limit on subscriptions is negative")
	reject(l.ConnsPerAddr < 0 || l.ConnsTotal < 0, "a limit on connections is negative")
	reject(l.MintsPerAddr < 0 || l.MintsTotal < 0, "a limit on credentials is negative")
	return errors.Join(errs...)
}
