package credential

import (
	"bytes"
	"crypto/md5"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Errors that Verify returns as they are.
var (
	ErrUnknownUser   = errors.New("unknown user")
	ErrWrongPassword = errors.New("wrong password")
	ErrTooFarAhead   = errors.New("expiry too far ahead")
)

// DefaultMaxFuture is how far ahead of the clock an expiry may be by default.
const DefaultMaxFuture = 7 * 24 * time.Hour

// maxRealm is the greatest length of REALM in bytes (RFC 8489 section 14.9).
const maxRealm = 763

// User is a static long-term user (RFC 8489 section 9.2).
type User struct {
	Name     string // 1 to MaxUsername bytes
	Password string // either Password is set
	Key      []byte // or Key, which is the 16 bytes of LongTermKey(Name, realm, password)
}

// VerifierOptions hold the users and secrets that a Verifier accepts. NewVerifier copies the fields and does not modify
// them.
type VerifierOptions struct {
	Realm     string        // the realm of every key; required
	Own       []byte        // secret of our Minter; empty: no own credentials
	Shared    [][]byte      // secrets shared with other applications, all valid at once
	Users     []User        // static users with unique names
	MaxFuture time.Duration // 0: DefaultMaxFuture
}

// Kind is the kind of credential of an Identity.
type Kind int

// The kinds of credentials; see the package comment.
const (
	Static  Kind = iota + 1 // configured user
	Own                     // time-limited, minted by us
	Foreign                 // time-limited, minted with a shared secret
)

func (k Kind) String() string {
	switch k {
	case Static:
		return "static"
	case Own:
		return "own"
	case Foreign:
		return "foreign"
	}
	return fmt.Sprintf("kind %d", int(k))
}

// An Identity is a client that has authenticated.
type Identity struct {
	Username string // as on the wire
	User     string // quotas count by Kind and User
	ID       string // Credential.ID of own credentials, otherwise empty
	Origin   string // the origin of own credentials from MintFor, otherwise empty
	Kind     Kind
	Expires  time.Time // zero for static users; may be in the past
	Key      []byte    // the long-term key; read-only
}

// Verifier finds the key of a username. It is immutable and safe for concurrent use; to change secrets or users, make a
// new Verifier.
type Verifier struct {
	realm     string
	own       []byte
	shared    [][]byte
	users     map[string][]byte // name to key
	maxFuture time.Duration
	decoy     []byte // a key nobody has
}

// NewVerifier returns a Verifier, or one error for all invalid fields of o.
func NewVerifier(o VerifierOptions) (*Verifier, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	v := &Verifier{
		realm:     o.Realm,
		own:       slices.Clone(o.Own),
		users:     make(map[string][]byte, len(o.Users)),
		maxFuture: o.MaxFuture,
		decoy:     make([]byte, md5.Size),
	}
	rand.Read(v.decoy) // never fails: crypto/rand
	if v.maxFuture == 0 {
		v.maxFuture = DefaultMaxFuture
	}
	for _, s := range o.Shared {
		v.shared = append(v.shared, slices.Clone(s))
	}
	for _, u := range o.Users {
		if u.Key != nil {
			v.users[u.Name] = slices.Clone(u.Key)
		} else {
			v.users[u.Name] = LongTermKey(u.Name, o.Realm, u.Password)
		}
	}
	return v, nil
}

func (o *VerifierOptions) validate() error {
	var errs []error
	if o.Realm == "" || len(o.Realm) > maxRealm {
		errs = append(errs, fmt.Errorf("realm has %d bytes, must have 1 to %d", len(o.Realm), maxRealm))
	}
	if o.MaxFuture < 0 {
		errs = append(errs, errors.New("max future is negative"))
	}
	for i, s := range o.Shared {
		switch {
		case len(s) == 0:
			errs = append(errs, fmt.Errorf("shared secret %d is empty", i+1))
		case bytes.Equal(s, o.Own):
			errs = append(errs, fmt.Errorf("shared secret %d is the daemon's own", i+1))
		}
	}
	seen := make(map[string]bool, len(o.Users))
	for i, u := range o.Users {
		if err := u.validate(); err != nil {
			errs = append(errs, fmt.Errorf("user %d (%q): %w", i+1, u.Name, err))
		}
		if seen[u.Name] {
			errs = append(errs, fmt.Errorf("user %d (%q): duplicate name", i+1, u.Name))
		}
		seen[u.Name] = true
	}
	return errors.Join(errs...)
}

func (u *User) validate() error {
	switch {
	case u.Name == "" || len(u.Name) > MaxUsername:
		return fmt.Errorf("name has %d bytes, must have 1 to %d", len(u.Name), MaxUsername)
	case (u.Password == "") == (u.Key == nil):
		return errors.New("needs either a password or a key")
	case u.Key != nil && len(u.Key) != md5.Size:
		return fmt.Errorf("key has %d bytes, must have %d", len(u.Key), md5.Size)
	}
	return nil
}

// Verify finds the key of username with which check succeeds. check checks MESSAGE-INTEGRITY with a key. Verify does
// not refuse an expired username, because the caller refuses it on Allocate; see Identity.Expires. Verify calls check
// at most 1 + len(Shared) times, and not at all if the error is ErrTooFarAhead.
func (v *Verifier) Verify(username string, now time.Time, check func(key []byte) bool) (Identity, error) {
	if key, ok := v.users[username]; ok {
		if !check(key) {
			return Identity{}, ErrWrongPassword
		}
		return Identity{Username: username, User: username, Kind: Static, Key: key}, nil
	}
	expiry, id, ok := parseForeign(username)
	if !ok || len(username) > MaxUsername {
		check(v.decoy)
		return Identity{}, ErrUnknownUser
	}
	found := Identity{Username: username, Expires: unixTime(expiry)}
	if found.Expires.After(now.Add(v.maxFuture)) {
		return Identity{}, ErrTooFarAhead
	}
	_, user, cid, own := parseOwn(username)
	if own = own && len(v.own) > 0; own {
		if found.Key = v.key(v.own, username); check(found.Key) {
			found.Kind, found.User, found.ID, found.Origin = Own, orElse(user, username), cid, cid[idLength:]
			return found, nil
		}
	}
	for _, secret := range v.shared {
		if found.Key = v.key(secret, username); check(found.Key) {
			found.Kind, found.User = Foreign, orElse(id, username)
			return found, nil
		}
	}
	if !own && len(v.shared) == 0 { // no configured secret can have signed this username
		check(v.decoy)
		return Identity{}, ErrUnknownUser
	}
	return Identity{}, ErrWrongPassword
}

func (v *Verifier) key(secret []byte, username string) []byte {
	return LongTermKey(username, v.realm, sign(secret, username))
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// LongTermKey returns the key of the long-term credential mechanism,
// MD5(username ":" realm ":" password), RFC 8489 section 9.2.2.
func LongTermKey(username, realm, password string) []byte {
	sum := md5.Sum([]byte(username + ":" + realm + ":" + password))
	return sum[:]
}
