package pocketbase

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"icebox/signal"
	"icebox/signal/broker"
	"icebox/signal/rate"
)

// Protocol is the name of this protocol in metrics, logs and the configuration.
const Protocol = "pocketbase"

// Options configure a Handler. They cannot be changed afterwards.
type Options struct {
	Hub *signal.Hub
	// Secret is the key that signs tokens. It must be at least 32 bytes long, must not serve any other purpose, and should stay
	// the same across restarts, because a new secret makes all tokens invalid.
	Secret []byte
	// STUN returns the stun: URLs for clients that reach the daemon as host (without a port). If it is nil, clients get no STUN
	// servers.
	STUN       func(host string) []string
	Logger     *slog.Logger          // nil discards all records
	Registerer prometheus.Registerer // nil leaves the metrics unregistered
}

// Access makes the gateway's decisions about one request.
type Access interface {
	// Caller returns the address and host of the client. It checks no secret.
	Caller() signal.Visitor
	// Authorize decides, by the rules of signal.access, whether a client that sent one of these secrets may sign in. The error
	// wraps signal.ErrOrigin if the page's origin is not admitted, and another signal.Error if no secret is valid.
	Authorize(secrets ...string) (signal.Visitor, error)
	// Admit counts a connection until release is called. The error wraps signal.ErrConnLimit or signal.ErrRestarting.
	Admit() (release func(), err error)
	// AllowCORS lets pages of admitted origins read the response. It returns true if the request was a preflight request, to
	// which it has then responded.
	AllowCORS(w http.ResponseWriter, methods string) (preflight bool)
}

// Handler serves PocketBase clients. It holds all their calls in memory. Its methods are safe for concurrent use.
type Handler struct {
	hub      *signal.Hub
	stun     func(string) []string
	log      *slog.Logger
	metrics  *metrics
	signer   *signer
	accounts atomic.Pointer[accounts]
	attempts *attemptLimiter
	rates    *rate.Table
	book     *book
	profile  signal.Profile
}

// New returns a Handler for the given accounts. It fails if there is no hub, if the secret is too short, if a metric is
// already registered, or if an account is invalid.
func New(o Options, a Accounts) (*Handler, error) {
	switch {
	case o.Hub == nil:
		return nil, errors.New("create PocketBase handler: the hub is missing")
	case len(o.Secret) < 32:
		return nil, errors.New("create PocketBase handler: the secret is shorter than 32 bytes")
	}
	h := &Handler{
		hub: o.Hub, stun: o.STUN, log: cmp.Or(o.Logger, slog.New(slog.DiscardHandler)), signer: newSigner(o.Secret),
		attempts: newAttemptLimiter(), rates: rate.NewTable(maxRates),
		// These clients have no names, so no other client can send them a message. The core still requires an encoder; it
		// appends an SSE comment, which clients ignore.
		profile: signal.Profile{Protocol: Protocol, Encode: func(b []byte, _ broker.Message) []byte { return append(b, ": \n\n"...) }},
	}
	if h.stun == nil {
		h.stun = func(string) []string { return nil }
	}
	var err error
	if h.metrics, err = newMetrics(o.Registerer); err != nil {
		return nil, fmt.Errorf("create PocketBase handler: %w", err)
	}
	h.book = newBook(func() signal.CallLimits { return o.Hub.Limits().Calls }, h.metrics)
	if err := h.SetAccounts(a); err != nil {
		return nil, fmt.Errorf("create PocketBase handler: %w", err)
	}
	o.Hub.InitMetrics(Protocol)
	return h, nil
}

// SetAccounts replaces the accounts. Tokens that are no longer valid stop working at once, and their streams end. If any
// account is invalid, SetAccounts changes nothing and returns an error that lists all invalid accounts.
func (h *Handler) SetAccounts(a Accounts) error {
	set, err := h.PrepareAccounts(a)
	if err != nil {
		return err
	}
	set()
	return nil
}

// PrepareAccounts does the part of SetAccounts that can fail. The function set then replaces the accounts.
func (h *Handler) PrepareAccounts(a Accounts) (set func(), err error) {
	all, err := compileAccounts(a, h.signer)
	if err != nil {
		return nil, err
	}
	return func() {
		h.accounts.Store(all)
		h.book.endInvalid(all.isValid)
	}, nil
}

// Bearer returns the user name for which the bearer of a token gets ICE servers, and reports whether the token is valid.
// The user is "" for a visitor without a configured account; the gateway tells such visitors apart by address only.
func (h *Handler) Bearer(token string) (user string, ok bool) {
	p, _, problem := h.authenticate(token)
	if problem != nil {
		return "", false
	}
	if p.account == "" {
		return "", true
	}
	return Protocol + "\x00" + p.identity, true // the NUL keeps it apart from the names of other protocols' clients
}
