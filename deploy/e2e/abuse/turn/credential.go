package turn

import (
	"crypto/hmac"
	"crypto/md5"  //nolint:gosec // RFC 8489 section 9.2.2
	"crypto/sha1" //nolint:gosec // the REST API for TURN credentials
	"encoding/base64"
	"fmt"
	"time"
)

// Login is a user name and its password.
type Login struct{ User, Password string }

// Mint makes a time-limited credential with a secret shared with the relay.
func Mint(secret, user string) Login {
	name := fmt.Sprintf("%d:%s", time.Now().Add(time.Hour).Unix(), user)
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(name))
	return Login{name, base64.StdEncoding.EncodeToString(mac.Sum(nil))}
}

// key returns the key that signs requests.
func (l Login) key(realm string) []byte {
	sum := md5.Sum([]byte(l.User + ":" + realm + ":" + l.Password)) //nolint:gosec // as above
	return sum[:]
}
