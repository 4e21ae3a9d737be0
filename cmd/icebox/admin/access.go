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

// accessFile is the state file with the Access of the running daemon.
const accessFile = "admin.json"

// Access is the address and the token by which a command on this host uses the API of a daemon.
type Access struct {
	Address string `json:"address"` // host:port
	Token   string `json:"token"`
}

// ErrNotRunning means that no daemon uses the state directory.
var ErrNotRunning = errors.New("icebox is not running")

// NewToken returns a random token for Options.
func NewToken() string { return rand.Text() }

// Publish writes the address that the daemon listens on and its token into the state directory. For a wildcard address it
// writes the loopback address.
func Publish(dir *statedir.Dir, listening netip.AddrPort, token string) error {
	access := At(listening.Addr(), listening.Port())
	access.Token = token
	data, err := json.Marshal(access)
	if err != nil {
		return err
	}
	return dir.Replace(accessFile, data)
}

// At returns an Access to a daemon that listens on addr and port. It has no token, so it works for GET requests only.
// For the zero Addr and for wildcard addresses it uses the loopback address.
func At(addr netip.Addr, port uint16) Access {
	switch {
	case !addr.IsValid() || addr == netip.IPv4Unspecified():
		addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case addr.IsUnspecified():
		addr = netip.IPv6Loopback()
	}
	return Access{Address: netip.AddrPortFrom(addr, port).String()}
}

// ReadAccess returns the Access that a daemon has published in its state directory, or ErrNotRunning.
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

// Reload makes the daemon read its configuration again. The error is a Refused if the configuration has mistakes or changes that need
// a restart.
func (a Access) Reload(ctx context.Context) (Reloaded, error) {
	var done Reloaded
	err := a.do(ctx, http.MethodPost, "/reload", nil, &done)
	return done, err
}

// Drain makes the daemon exit once its calls have ended, and after the duration within at the latest. A within of 0
// means the configured time.
func (a Access) Drain(ctx context.Context, within time.Duration) (Draining, error) {
	body := map[string]string{}
	if within > 0 {
		body["within"] = within.String()
	}
	var begun Draining
	err := a.do(ctx, http.MethodPost, "/drain", body, &begun)
	return begun, err
}

// Status returns the status of the daemon.
func (a Access) Status(ctx context.Context) (Status, error) {
	var s Status
	err := a.do(ctx, http.MethodGet, "/readyz", nil, &s)
	return s, err
}

// requestTimeout is how long a request to the daemon may take.
const requestTimeout = 30 * time.Second

func (a Access) do(ctx context.Context, method, path string, request, response any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://"+a.Address+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask the daemon: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+a.Token)
	r.Close = true
	// The transport ignores the proxy that the environment may name, because a proxy would see the token.
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
		return fmt.Errorf("ask the daemon: %s responded with %s and a body that is not icebox's", a.Address, reply.Status)
	case reply.StatusCode == http.StatusUnprocessableEntity:
		return Refused(bad.Errors)
	case len(bad.Errors) > 0:
		return errors.New(Refused(bad.Errors).Error())
	}
	return json.Unmarshal(text, response)
}
