package pocketbase

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"

	"golang.org/x/crypto/bcrypt"
)

// User may sign in. A password that looks like a hash of bcrypt is one.
type User struct{ Identity, Password string }

// Accounts say who may sign in. They may be replaced while the daemon runs: tokens of users who are gone, or have another password,
// are no longer good then.
type Accounts struct {
	Users []User
	// Anyone: who is let in by the access of the hub's other protocols signs in under any other identity. See the package comment.
	Anyone bool
}

// MaxCost is the highest cost of a hash: it takes a second of a core or so.
const MaxCost = 14

// bcryptHash has the form of a hash that bcrypt makes.
var bcryptHash = regexp.MustCompile(`^\$2[aby]?\$\d\d\$[./A-Za-z0-9]{53}$`)

// CheckPassword reports what is wrong with the password of a User.
func CheckPassword(password string) error {
	if !bcryptHash.MatchString(password) {
		if password == "" || len(password) > maxPassword {
			return fmt.Errorf("want 1 to %d bytes, got %d", maxPassword, len(password))
		}
		return nil
	}
	cost, err := bcrypt.Cost([]byte(password))
	if err != nil {
		return err
	}
	if cost > MaxCost {
		return fmt.Errorf("a bcrypt cost of %d is too slow: want %d or less", cost, MaxCost)
	}
	return nil
}

// account is a user made ready.
type account struct {
	person person            // without a session
	sum    [sha256.Size]byte // of the password, if there is no hash
	hash   []byte
}

// accounts are Accounts made ready.
type accounts struct {
	anyone bool
	users  map[string]*account
	decoy  *account // whom those are compared with who don't exist
}

func compileAccounts(a Accounts, s *signer) (*accounts, error) {
	all := &accounts{anyone: a.Anyone, users: make(map[string]*account), decoy: &account{}}
	var errs []error
	slowest := 0
	for _, u := range a.Users {
		if !isPrintable(u.Identity, maxIdentity) {
			errs = append(errs, fmt.Errorf("identity %q is not 1 to %d bytes that can be printed", u.Identity, maxIdentity))
			continue
		}
		if err := CheckPassword(u.Password); err != nil {
			errs = append(errs, fmt.Errorf("password of %q: %w", u.Identity, err))
			continue
		}
		n := &account{person: person{
			user: idFromHash(s.mac("user", u.Identity)), identity: u.Identity,
			account: hex.EncodeToString(s.mac("account", u.Identity, u.Password)[:8]),
		}}
		if bcryptHash.MatchString(u.Password) {
			n.hash = []byte(u.Password)
			if cost, _ := bcrypt.Cost(n.hash); cost > slowest {
				slowest, all.decoy.hash = cost, n.hash
			}
		} else {
			n.sum = sha256.Sum256([]byte(u.Password))
		}
		all.users[u.Identity] = n
	}
	return all, errors.Join(errs...)
}

// check returns the user with this identity and password. It does the same work whoever is asked for: a comparison, and one by bcrypt
// where any user has a hash. Costs that differ from user to user show nevertheless.
func (a *accounts) check(identity, password string) (person, bool) {
	u, known := a.users[identity]
	if !known {
		u = a.decoy
	}
	sum := sha256.Sum256([]byte(password))
	right := subtle.ConstantTimeCompare(sum[:], u.sum[:]) == 1
	if a.decoy.hash != nil {
		hash := u.hash
		if hash == nil {
			hash = a.decoy.hash
		}
		matches := bcrypt.CompareHashAndPassword(hash, []byte(password)) == nil
		if u.hash != nil {
			right = matches
		}
	}
	return u.person, right && known
}

// slow reports whether a check takes so much of a core that only few may run at a time.
func (a *accounts) usesBcrypt() bool { return a.decoy.hash != nil }

// isValid reports whether the bearer of a token may still be who it says.
func (a *accounts) isValid(p person) bool {
	if p.account == "" {
		return a.anyone
	}
	u := a.users[p.identity]
	return u != nil && u.person.account == p.account
}
