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

// User is a configured user. Identity is a user name or email address of 1 to 255 bytes. Password is either a plain password
// of 1 to 72 bytes or a bcrypt hash, which is recognized by its form.
type User struct{ Identity, Password string }

// Accounts define who may sign in. They can be replaced while the daemon runs. The tokens of a user who was removed, or
// whose password was changed, are then no longer valid.
type Accounts struct {
	Users []User
	// Anyone lets clients that signal.access admits sign in under any identity that is not in Users. See the package comment.
	Anyone bool
}

// MaxCost is the highest bcrypt cost that is accepted. One comparison at this cost takes about one second of CPU time.
const MaxCost = 14

// bcryptHash matches a bcrypt hash.
var bcryptHash = regexp.MustCompile(`^\$2[aby]?\$\d\d\$[./A-Za-z0-9]{53}$`)

// CheckPassword returns an error if a User may not have this password: if it is empty or longer than 72 bytes, or if it is a
// bcrypt hash whose cost is out of range.
func CheckPassword(password string) error {
	if !bcryptHash.MatchString(password) {
		if password == "" || len(password) > maxPassword {
			return fmt.Errorf("has %d bytes, want 1 to %d", len(password), maxPassword)
		}
		return nil
	}
	cost, err := bcrypt.Cost([]byte(password))
	if err != nil {
		return err
	}
	if cost > MaxCost {
		return fmt.Errorf("bcrypt cost %d takes too much CPU time, want %d or less", cost, MaxCost)
	}
	return nil
}

// account is a User in the form in which passwords are compared.
type account struct {
	person person            // its signInID is empty
	sum    [sha256.Size]byte // SHA-256 of the password; unused if hash is set
	hash   []byte            // bcrypt hash of the password, or nil
}

// accounts is the compiled form of Accounts. It is immutable.
type accounts struct {
	anyone bool
	users  map[string]*account // by identity
	// decoy is an account without an identity. A password for an unknown identity is compared with it, so that the response
	// time does not reveal whether the identity exists. It has the slowest hash of all users, if any user has a hash.
	decoy *account
}

// compileAccounts validates accounts. Its error lists all invalid users.
func compileAccounts(a Accounts, s *signer) (*accounts, error) {
	all := &accounts{anyone: a.Anyone, users: make(map[string]*account), decoy: &account{}}
	var errs []error
	slowest := 0
	for _, u := range a.Users {
		if !isPrintable(u.Identity, maxIdentity) {
			errs = append(errs, fmt.Errorf("identity %q is not 1 to %d printable bytes", u.Identity, maxIdentity))
			continue
		}
		if err := CheckPassword(u.Password); err != nil {
			errs = append(errs, fmt.Errorf("password of user %q: %w", u.Identity, err))
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

// check returns the user with this identity and reports whether the password is right. It does the same work for known and
// unknown identities: one SHA-256 comparison and, if any user has a bcrypt hash, one bcrypt comparison. If users have hashes
// of different costs, the time still depends on the identity.
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

// usesBcrypt reports whether check needs enough CPU time that its concurrency must be limited.
func (a *accounts) usesBcrypt() bool { return a.decoy.hash != nil }

// isValid reports whether a token that was issued to p is still valid: whether its user still exists with the same password
// or, for a visitor without an account, whether anyone may still sign in.
func (a *accounts) isValid(p person) bool {
	if p.account == "" {
		return a.anyone
	}
	u := a.users[p.identity]
	return u != nil && u.person.account == p.account
}
