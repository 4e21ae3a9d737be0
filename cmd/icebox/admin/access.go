package admin

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"time"

	"icebox/cmd/icebox/statedir"
)

// accessFile is the state file that tells commands how to reach the daemon.
const accessFile = "admin.json"

// Access is how a command on this host reaches the daemon and shows that it
// may give orders.
type Access struct {
	Address string `json:"address"` // host:port
	Token   string `json:"token"`
}

// ErrNotRunning is returned when no daemon has a state directory in use.
var ErrNotRunning = errors.New("icebox is not running")

// NewToken is one for Options.
func NewToken() string { return rand.Text() }

// Publish writes into the state directory where the daemon listens and what
// token it wants. A wildcard address is reached through loopback.
func Publish(dir *statedir.Dir, listening netip.AddrPort, token string) error {
	access := At(listening.Addr(), listening.Port())
	access.Token = token
	data, err := json.Marshal(access)
	if err != nil {
		return err
	}
	return dir.Replace(accessFile, data)
}

// At is the access, for questions alone, to a daemon that listens on an address, of
// which the zero one and wildcards are reached through loopback.
func At(addr netip.Addr, port uint16) Access {
	switch {
	case !addr.IsValid() || addr == netip.IPv4Unspecified():
		addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case addr.IsUnspecified():
		addr = netip.IPv6Loopback()
	}
	return Access{Address: netip.AddrPortFrom(addr, port).String()}
}

// ReadAccess is what the daemon that uses a state directory has published there.
func ReadAccess(dir *statedir.Dir) (Access, error) {
	var a Access
	data, err := dir.Read(accessFile)
	if errors.Is(err, fs.ErrNotExist) {
		return a, ErrNotRunning
	}
	if err == nil {
		err = json.Unmarshal(data, &a)
	}
	if err != nil {
		return a, fmt.Errorf("find the daemon: %w", err)
	}
	return a, nil
}

// Reload has the daemon read its configuration again. The error is Refused when
// it found something wrong with it.
func (a Access) Reload(ctx context.Context) (Reloaded, error) {
	var done Reloaded
	err := a.do(ctx, http.MethodPost, "/reload", nil, &done)
	return done, err
}

// Drain has the daemon end once its calls have, and after within at the latest;
// 0 is the configured time.
func (a Access) Drain(ctx context.Context, within time.Duration) (Draining, error) {
	order := map[string]string{}
	if within > 0 {
		order["within"] = within.String()
	}
	var begun Draining
	err := a.do(ctx, http.MethodPost, "/drain", order, &begun)
	return begun, err
}

// Status asks how the daemon is.
func (a Access) Status(ctx context.Context) (Status, error) {
	var s Status
	err := a.do(ctx, http.MethodGet, "/readyz", nil, &s)
	return s, err
}

// answerWithin bounds the wait for an answer.
const answerWithin = 30 * time.Second

func (a Access) do(ctx context.Context, method, path string, order, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	body, err := json.Marshal(order)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://"+a.Address+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask the daemon: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+a.Token)
	r.Close = true
	// No proxy of the environment: it would be told the token.
	direct := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	reply, err := direct.Do(r)
	var refused *net.OpError
	if errors.As(err, &refused) && refused.Op == "dial" {
		return fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	if err != nil {
		return fmt.Errorf("ask the daemon: %w", err)
	}
	defer func() { _ = reply.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(reply.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("ask the daemon: %w", err)
	}
	var bad failure
	switch {
	case json.Unmarshal(text, &bad) != nil:
		return fmt.Errorf("ask the daemon: %s answers %s, which icebox would not", a.Address, reply.Status)
	case reply.StatusCode == http.StatusUnprocessableEntity:
		return Refused(bad.Errors)
	case len(bad.Errors) > 0:
		return errors.New(Refused(bad.Errors).Error())
	}
	return json.Unmarshal(text, answer)
}
