package config

import (
	"fmt"
	"regexp"
	"slices"

	"golang.org/x/crypto/bcrypt"
)

const (
	maxIdentity   = 255 // bytes
	maxPassword   = 72  // bytes; bcrypt ignores the rest
	maxBcryptCost = 14  // about one second of CPU time
)

// bcryptHash matches a bcrypt hash.
var bcryptHash = regexp.MustCompile(`^\$2[aby]?\$\d\d\$[./A-Za-z0-9]{53}$`)

func (c *checker) pocketbase() {
	p := &c.Signal.PocketBase
	identities := make(unique)
	for i := range p.Users {
		u := &p.Users[i]
		path := fmt.Sprintf("signal.pocketbase.users[%d]", i)
		c.required(path, "identity")
		at := join(path, "identity")
		if c.has(at) && (u.Identity == "" || len(u.Identity) > maxIdentity || !printable(u.Identity)) {
			c.fail(at, "want 1 to %d bytes that can be printed", maxIdentity)
		}
		identities.check(c, at, u.Identity, fmt.Sprintf("%q", u.Identity))
		at = c.secret(path, "password", &u.Password, &u.File)
		if err := signInPassword(u.Password.value); err != nil && c.has(at) {
			c.fail(at, "%w", err)
		}
	}
	if len(p.Users) > 0 || p.Anyone {
		return
	}
	for i, l := range c.HTTP.Listen {
		j := slices.IndexFunc(l.Protocols, func(p Protocol) bool { return p.Protocol == PocketBase })
		if j >= 0 {
			c.fail(fmt.Sprintf("http.listen[%d].protocols[%d]", i, j), "pocketbase has neither signal.pocketbase.users nor anyone: nobody could sign in")
			return
		}
	}
}

// signInPassword checks a password or its bcrypt hash.
func signInPassword(text string) error {
	if !bcryptHash.MatchString(text) {
		if n := len(text); n == 0 || n > maxPassword {
			return fmt.Errorf("want 1 to %d bytes, got %d", maxPassword, n)
		}
		return nil
	}
	cost, err := bcrypt.Cost([]byte(text))
	if err == nil && cost > maxBcryptCost {
		err = fmt.Errorf("a bcrypt cost of %d takes too long: want %d or less", cost, maxBcryptCost)
	}
	return err
}
