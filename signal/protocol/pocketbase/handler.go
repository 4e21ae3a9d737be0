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

// Options are fixed for the life of a Handler.
type Options struct {
	Hub *signal.Hub
	// Secret outlives the process, as tokens do. It has 32 bytes or more, and nobody else uses it.
	Secret []byte
	// STUN returns the stun: URLs for who reached us by a host. nil: there are none.
	STUN       func(host string) []string
	Logger     *slog.Logger          // nil: discards
	Registerer prometheus.Registerer // nil: no registration
}

// Access is what the gateway knows of a request.
type Access interface {
	// Caller is who asks.
	Caller() signal.Visitor
	// Authorize says whether somebody who shows this secret may sign in, by the access that is for all protocols.
	Authorize(secrets ...string) (signal.Visitor, error)
	// Admit counts a connection, until leave is called. The error is signal.ErrConnLimit or ErrRestarting inside.
	Admit() (release func(), err error)
	// AllowCORS lets pages read the answer. It reports whether it has answered the request, because that asked for nothing else.
	AllowCORS(w http.ResponseWriter, methods string) (preflight bool)
}

// Handler serves clients that speak this protocol. It has all their calls.
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

// New returns a Handler. The accounts are set as by SetAccounts.
func New(o Options, a Accounts) (*Handler, error) {
	switch {
	case o.Hub == nil:
		return nil, errors.New("make a pocketbase handler: there is no hub")
	case len(o.Secret) < 32:
		return nil, errors.New("make a pocketbase handler: the secret is shorter than 32 bytes")
	}
	h := &Handler{
		hub: o.Hub, stun: o.STUN, log: cmp.Or(o.Logger, slog.New(slog.DiscardHandler)), signer: newSigner(o.Secret),
		attempts: newAttemptLimiter(), rates: rate.NewTable(maxRates),
		// No client has a name, so no message of another protocol's gets here; what must be made of one is a comment.
		profile: signal.Profile{Protocol: Protocol, Encode: func(b []byte, _ broker.Message) []byte { return append(b, ": \n\n"...) }},
	}
	if h.stun == nil {
		h.stun = func(string) []string { return nil }
	}
	var err error
	if h.metrics, err = newMetrics(o.Registerer); err != nil {
		return nil, fmt.Errorf("make a pocketbase handler: %w", err)
	}
	h.book = newBook(func() signal.CallLimits { return o.Hub.Limits().Calls }, h.metrics)
	if err := h.SetAccounts(a); err != nil {
		return nil, fmt.Errorf("make a pocketbase handler: %w", err)
	}
	o.Hub.InitMetrics(Protocol)
	return h, nil
}

// SetAccounts replaces who may sign in, or changes nothing and says what is wrong.
func (h *Handler) SetAccounts(a Accounts) error {
	set, err := h.PrepareAccounts(a)
	if err != nil {
		return err
	}
	set()
	return nil
}

// PrepareAccounts is SetAccounts in two steps: all that can fail, and set, which can't.
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

// Bearer returns for whom the bearer of a token may have ICE servers: "" for a user who counts by address alone.
func (h *Handler) Bearer(token string) (user string, ok bool) {
	p, _, problem := h.authenticate(token)
	if problem != nil {
		return "", false
	}
	if p.account == "" {
		return "", true
	}
	return Protocol + "\x00" + p.identity, true // nobody of another protocol can have that name
}
