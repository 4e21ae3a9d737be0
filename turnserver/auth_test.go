package turnserver

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"icebox/turnserver/credential"
	"icebox/turnserver/wire"
)

// timeLimited returns a time-limited username and its password in the format that coturn introduced.
func timeLimited(secret, id string, expiry time.Time) (username, password string) {
	username = fmt.Sprint(expiry.Unix())
	if id != "" {
		username += ":" + id
	}
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(username))
	return username, base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// forge describes a request with a signature of the test's choice.
type forge struct {
	user, realm, nonce string
	without            wire.AttrType // left out
	key                []byte        // nil: the key of user, realm and testPass
	before, behind     attrs         // attributes before and after the signature
}

func (f forge) write(b *wire.Builder) {
	if f.before != nil {
		f.before(b)
	}
	for _, a := range []struct {
		typ   wire.AttrType
		value string
	}{{wire.AttrUsername, f.user}, {wire.AttrRealm, f.realm}, {wire.AttrNonce, f.nonce}} {
		if a.typ != f.without {
			b.Text(a.typ, a.value)
		}
	}
	if f.key == nil {
		f.key = credential.LongTermKey(f.user, f.realm, testPass)
	}
	b.Integrity(f.key)
	if f.behind != nil {
		f.behind(b)
	}
}

// A request that does not authenticate gets an unsigned error, by the order of RFC 8489 section 9.2.4. All but 400 contain a nonce that
// works.
func TestChallenges(t *testing.T) {
	ts, other := serve(t, relayApart), serve(t, relayApart)
	stranger := other.dial(t, "udp4")
	stranger.login()
	good := func(f forge) forge { // the fields that f leaves empty are correct
		if f.user == "" {
			f.user = testUser
		}
		if f.realm == "" {
			f.realm = testRealm
		}
		return f
	}
	old, oldPassword := timeLimited("shared", "x", time.Now().Add(-time.Minute))
	tests := map[string]struct {
		make func(nonce string) attrs
		want wire.Code
	}{
		"unsigned":            {func(string) attrs { return nil }, wire.Unauthorized},
		"unsigned, 401 first": {func(string) attrs { return alien() }, wire.Unauthorized},
		"SHA-256 only":        {func(string) attrs { return attr(wire.AttrMessageIntegritySHA256, make([]byte, 32)...) }, wire.Unauthorized},
		"no USERNAME":         {func(n string) attrs { return good(forge{nonce: n, without: wire.AttrUsername}).write }, wire.BadRequest},
		"no REALM":            {func(n string) attrs { return good(forge{nonce: n, without: wire.AttrRealm}).write }, wire.BadRequest},
		"no NONCE":            {func(n string) attrs { return good(forge{nonce: n, without: wire.AttrNonce}).write }, wire.BadRequest},
		"400 before 438":      {func(string) attrs { return good(forge{nonce: "x", without: wire.AttrRealm}).write }, wire.BadRequest},
		"long USERNAME":       {func(n string) attrs { return good(forge{nonce: n, user: strings.Repeat("u", 509)}).write }, wire.BadRequest},
		"nonce of another":    {func(string) attrs { return good(forge{nonce: stranger.nonce}).write }, wire.StaleNonce},
		"nonce of nobody":     {func(string) attrs { return good(forge{nonce: "f3a"}).write }, wire.StaleNonce},
		"empty nonce":         {func(string) attrs { return good(forge{}).write }, wire.StaleNonce},
		"nonce, one bit off":  {func(n string) attrs { return good(forge{nonce: string(n[0]^1) + n[1:]}).write }, wire.StaleNonce},
		"438 before 401":      {func(string) attrs { return good(forge{nonce: stranger.nonce, key: []byte("k")}).write }, wire.StaleNonce},
		"wrong password":      {func(n string) attrs { return good(forge{nonce: n, key: []byte("k")}).write }, wire.Unauthorized},
		"401 before 420":      {func(n string) attrs { return good(forge{nonce: n, key: []byte("k"), before: alien()}).write }, wire.Unauthorized},
		"unknown user":        {func(n string) attrs { return good(forge{nonce: n, user: "eve"}).write }, wire.Unauthorized},
		"wrong realm":         {func(n string) attrs { return good(forge{nonce: n, realm: "elsewhere"}).write }, wire.Unauthorized},
		"realm of our key": {func(n string) attrs {
			return good(forge{nonce: n, realm: "elsewhere", key: credential.LongTermKey(testUser, testRealm, testPass)}).write
		}, wire.Unauthorized},
		"expired": {func(n string) attrs {
			return forge{user: old, realm: testRealm, nonce: n, before: protocol(17), key: credential.LongTermKey(old, testRealm, oldPassword)}.write
		}, wire.Unauthorized},
	}
	if err := ts.SetLimits(sharing(t, "shared")); err != nil {
		t.Fatal(err)
	}
	for name, tt := range tests {
		for _, transport := range []string{"udp4", "tcp4"} {
			t.Run(name+" over "+transport, func(t *testing.T) {
				c := ts.dial(t, transport)
				c.login()
				m := c.exchange(unsigned(wire.Allocate, tt.make(c.nonce)))
				c.must(m, tt.want)
				if m.HasIntegrity() {
					t.Error("the answer is signed")
				}
				nonce, hasNonce := m.Get(wire.AttrNonce)
				realm, _ := m.Get(wire.AttrRealm)
				if challenge := tt.want != wire.BadRequest; hasNonce != challenge || challenge && string(realm) != testRealm {
					t.Errorf("nonce %q, realm %q", nonce, realm)
				}
				if hasNonce {
					c.nonce = string(nonce)
					c.must(c.do(wire.Allocate, udpTransport), 0)
				}
			})
		}
	}
}

// unsigned returns a request without a signature.
func unsigned(method wire.Method, add attrs) []byte {
	b := wire.NewBuilder(nil, method, wire.Request, newID())
	if add != nil {
		add(b)
	}
	return b.Bytes()
}

// sharing returns limits with the test's static users and users of shared secrets.
func sharing(t testing.TB, secrets ...string) Limits {
	t.Helper()
	o := credential.VerifierOptions{
		Own: []byte("own"),
		Users: []credential.User{
			{Name: testUser, Password: testPass},
			{Name: "keyed", Key: credential.LongTermKey("keyed", testRealm, testPass)},
		},
	}
	for _, s := range secrets {
		o.Shared = append(o.Shared, []byte(s))
	}
	return Limits{Credentials: verifier(t, o), Peers: allowLoopback}
}

// Static users, stored keys, minted credentials and credentials of other applications work at the same time. Each of two secrets verifies,
// and a removed one does not.
func TestUsersSideBySide(t *testing.T) {
	ts := serve(t, func(o *Options, l *Limits) { relayApart(o, l); *l = sharing(t, "first", "second") })
	later := time.Now().Add(time.Hour)
	minted, err := credential.NewMinter([]byte("own")).Mint("ann", time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	first, firstPassword := timeLimited("first", "joe", later)
	second, secondPassword := timeLimited("second", "", later)
	third, thirdPassword := timeLimited("third", "joe", later)
	far, farPassword := timeLimited("first", "joe", later.Add(8*24*time.Hour))
	for name, tt := range map[string]struct {
		user, password, counts, id string
		want                       wire.Code
	}{
		"static":         {testUser, testPass, testUser, "", 0},
		"stored key":     {"keyed", testPass, "keyed", "", 0},
		"minted":         {minted.Username, minted.Password, "ann", minted.ID, 0},
		"first secret":   {first, firstPassword, "joe", "", 0},
		"second secret":  {second, secondPassword, second, "", 0},
		"unknown secret": {third, thirdPassword, "", "", wire.Unauthorized},
		"too far ahead":  {far, farPassword, "", "", wire.Unauthorized},
		"other user's":   {testUser, firstPassword, "", "", wire.Unauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			c := ts.dial(t, "udp4")
			c.login()
			c.user, c.password = tt.user, tt.password
			m := c.do(wire.Allocate, udpTransport)
			c.must(m, tt.want)
			if tt.want != 0 {
				return
			}
			c.wellMade(m, wire.Allocate)
			i := ts.Sessions()
			if len(i) != 1 || i[0].User != tt.counts || i[0].CredentialID != tt.id {
				t.Errorf("sessions %+v", i)
			}
			c.must(c.do(wire.Refresh, attr(wire.AttrLifetime, 0, 0, 0, 0)), 0)
		})
	}
}

// A nonce is valid for an IP address, with any port and transport.
func TestNonceIsForOneAddress(t *testing.T) {
	ts := serve(t, relayApart)
	c := ts.dial(t, "udp4")
	c.login()
	for _, transport := range []string{"udp4", "tcp4", "tls4", "dtls4"} {
		d := ts.dial(t, transport)
		d.nonce = c.nonce
		d.must(d.do(wire.Allocate, udpTransport), 0)
	}
	d := ts.dialFrom(t, "127.0.0.9")
	d.nonce = c.nonce
	m := d.do(wire.Allocate, udpTransport)
	d.must(m, wire.StaleNonce)
	fresh, _ := m.Get(wire.AttrNonce)
	d.nonce = string(fresh)
	d.must(d.do(wire.Allocate, udpTransport), 0)
}
