package pocketbase

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"

	"icebox/signal"
)

// hashOf returns a bcrypt hash of the lowest cost.
func hashOf(t *testing.T, password string) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(h)
}

func with(users ...User) func(*setup) { return func(o *setup) { o.accounts = Accounts{Users: users} } }

func anyone(o *setup) { o.accounts.Anyone = true }

// signsIn signs in and returns the status.
func (s *server) signsIn(identity, password string) int {
	status, _ := (&page{server: s}).ask("POST", signInPath, signInJSON(identity, password))
	return status
}

func TestPasswords(t *testing.T) {
	s := newServer(t, with(User{"al", "plain"}, User{"bo", hashOf(t, "hashed")}))
	for try, want := range map[[2]string]int{
		{"al", "plain"}: 200, {"bo", "hashed"}: 200, {"al", "hashed"}: 400, {"bo", "plain"}: 400, {"al", ""}: 400, {"bo", ""}: 400,
		{"AL", "plain"}: 400, {"cy", "plain"}: 400, {"cy", "hashed"}: 400, {"", ""}: 400,
		{"bo", string(s.handler.accounts.Load().users["bo"].hash)}: 400,
	} {
		if got := s.signsIn(try[0], try[1]); got != want {
			t.Errorf("%q: %d, want %d", try, got, want)
		}
	}
}

func TestInvalidAccounts(t *testing.T) {
	s := newServer(t)
	slow := strings.Replace(hashOf(t, "x"), "$04$", "$15$", 1)
	for name, u := range map[string]User{
		"no identity": {"", "password"}, "a long identity": {strings.Repeat("i", 256), "password"}, "a line": {"a\nb", "password"},
		"no password": {"al", ""}, "a long password": {"al", strings.Repeat("p", 73)}, "a slow hash": {"al", slow},
	} {
		if err := s.handler.SetAccounts(Accounts{Users: []User{u}}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if s.signsIn(identity, password) != 200 {
		t.Error("the invalid accounts have replaced the valid ones")
	}
}

// A token becomes invalid, and its stream ends, when its user is removed or gets another password.
func TestReplacedAccounts(t *testing.T) {
	s := start(t)
	p := s.open()
	hears := p.listen("calls")
	same := Accounts{Users: []User{{identity, password}, {"new@example.com", "new password"}}}
	if err := s.handler.SetAccounts(same); err != nil {
		t.Fatal(err)
	}
	p.must("GET", serversPath, "")
	for name, a := range map[string]Accounts{
		"another password": {Users: []User{{identity, "another"}}}, "a hash instead": {Users: []User{{identity, hashOf(t, password)}}},
		"nobody": {}, "anyone": {Anyone: true},
	} {
		if err := s.handler.SetAccounts(a); err != nil {
			t.Fatal(err)
		}
		if status, _ := p.ask("GET", serversPath, ""); status != 401 {
			t.Errorf("%s: %d", name, status)
		}
		if _, ok := s.handler.Bearer(p.token); ok {
			t.Errorf("%s: the token still gets ICE servers", name)
		}
	}
	hears.ends()
}

// Tokens and the IDs of users stay the same after a restart. A token expires; a refreshed one is valid for longer.
func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		p := s.open()
		s.shutdown()
		s = newServer(t)
		p.server = s
		p.must("GET", serversPath, "")
		if again := s.open(); again.user != p.user {
			t.Errorf("the user's ID was %s, and is %s after a restart", p.user, again.user)
		}
		time.Sleep(tokenLife - time.Minute)
		fresh := *p
		fresh.token = p.must("POST", refreshPath, "")["token"].(string)
		time.Sleep(2 * time.Minute)
		if status, _ := p.ask("GET", serversPath, ""); status != 401 {
			t.Errorf("with an expired token: %d", status)
		}
		fresh.must("GET", serversPath, "")
		// The SDK keeps the expired token in the browser and sends it with the next sign-in.
		p.must("POST", signInPath, signInJSON(identity, password))
	})
}

// When Anyone is turned off, the tokens of visitors become invalid.
func TestAnyoneTurnedOff(t *testing.T) {
	s := newServer(t, anyone)
	p := s.open("al", "x")
	p.must("GET", serversPath, "")
	if err := s.handler.SetAccounts(Accounts{Users: []User{{"al", "x"}}}); err != nil {
		t.Fatal(err)
	}
	p.refused("GET", serversPath, "", 401, noToken)
}

func TestBearer(t *testing.T) {
	s := newServer(t, anyone)
	for as, want := range map[string]string{identity: "pocketbase\x00" + identity, "eve@example.com": ""} {
		if user, ok := s.handler.Bearer(s.open(as, password).token); !ok || user != want {
			t.Errorf("%s: %q %v", as, user, ok)
		}
	}
	for _, token := range []string{"", "junk", "a.b.c"} {
		if _, ok := s.handler.Bearer(token); ok {
			t.Errorf("%q is accepted as a token", token)
		}
	}
}

func TestAnyone(t *testing.T) {
	s := newServer(t, anyone)
	al := s.open("al", "x")
	ids := map[string]bool{al.user: true}
	if again := s.open("al", "x"); again.user != al.user || again.token == al.token {
		t.Errorf("the same visitor at the same address is %s, then %s", al.user, again.user)
	}
	ids[s.open("al", "y").user] = true
	ids[s.open("bo", "x").user] = true
	ids[s.open(identity, password).user] = true
	s.access.from("2001:db8::1")
	six := s.open("al", "x").user
	ids[six] = true
	s.access.from("2001:db8::2")
	if s.open("al", "x").user != six {
		t.Error("a visitor is another user at another address of its /64")
	}
	if len(ids) != 5 {
		t.Errorf("%d different users, want 5: %v", len(ids), ids)
	}
	if status := s.signsIn(identity, "wrong"); status != 400 {
		t.Errorf("a configured user with a wrong password: %d", status)
	}
}

// Visitors sign in only if Access authorizes them, and the name and expiry of their grant apply.
func TestAnyoneByAccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, anyone)
		s.access.authorize = func(secrets ...string) (signal.Visitor, error) {
			v := s.access.Caller()
			switch secrets[0] {
			case "token":
				v.Grant = signal.Grant{Name: "al", Expires: time.Now().Add(time.Hour)}
			case "limited token":
				v.Grant = signal.Grant{Name: "al", Limited: true}
			case "foreign page":
				return v, fmt.Errorf("at the gateway: %w", signal.ErrOrigin)
			default:
				return v, fmt.Errorf("at the gateway: %w", signal.ErrTokenInvalid)
			}
			return v, nil
		}
		for password, want := range map[string]int{"token": 200, "limited token": 403, "foreign page": 403, "wrong": 400} {
			if got := s.signsIn("whoever", password); got != want {
				t.Errorf("%s: %d, want %d", password, got, want)
			}
		}
		al := s.open("whoever", "token")
		if s.open("somebody", "token").user != al.user {
			t.Error("two sign-ins with one token are different users")
		}
		time.Sleep(50 * time.Minute)
		al.token = al.must("POST", refreshPath, "")["token"].(string)
		time.Sleep(11 * time.Minute)
		if status, _ := al.ask("GET", serversPath, ""); status != 401 {
			t.Errorf("a refreshed token outlives the JSON Web Token that it was issued for: %d", status)
		}
	})
}

func TestGuessing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		guess := func(from, as string, want int) {
			t.Helper()
			s.access.from(from)
			if got := s.signsIn(as, "wrong"); got != want {
				t.Fatalf("a guess from %s: %d, want %d", from, got, want)
			}
		}
		p := s.open()
		for range 100 { // successful sign-ins are not counted
			s.open()
		}
		for range 30 {
			guess("192.0.2.1", "eve@example.com", 400)
		}
		guess("192.0.2.1", identity, 429)
		if s.signsIn(identity, password) != 429 {
			t.Error("an address above its limit can still try passwords")
		}
		// All addresses of a /64 are one client.
		for i := range 30 {
			guess(fmt.Sprintf("2001:db8::%x", i), "eve@example.com", 400)
		}
		guess("2001:db8::ffff", "eve@example.com", 429)
		// Attempts from many addresses are counted for the identity.
		for i := range 100 {
			guess(fmt.Sprintf("198.51.100.%d", i), identity, 400)
		}
		guess("198.51.100.101", identity, 429)
		s.access.from("203.0.113.1")
		if s.signsIn(identity, password) != 429 {
			t.Error("an identity above its limit can still be tried from a new address")
		}
		if s.signsIn("other@example.com", "another password") != 200 {
			t.Error("another user is locked out")
		}
		p.must("POST", signInPath, signInJSON(identity, password)) // sends an earlier token of the user, so it is not locked out
		time.Sleep(time.Minute)
		s.open()
		guess("192.0.2.1", "eve@example.com", 400)
	})
}

// At most maxChecks hashes are compared at a time. Further sign-ins wait, and get 503 if too many wait or the wait is too
// long.
func TestConcurrentHashChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, with(User{identity, hashOf(t, password)}))
		g := s.handler.attempts
		for range maxChecks {
			g.checks <- struct{}{}
		}
		wait := func(want int) *sync.WaitGroup {
			var all sync.WaitGroup
			for range maxPending {
				all.Go(func() {
					if status := s.signsIn(identity, password); status != want {
						t.Errorf("a sign-in that had to wait: %d, want %d", status, want)
					}
				})
			}
			synctest.Wait()
			return &all
		}
		all := wait(200)
		(&page{server: s}).refused("POST", signInPath, signInJSON("nobody", password), http.StatusServiceUnavailable, checksBusy)
		for range maxChecks {
			<-g.checks
		}
		all.Wait()
		for range maxChecks {
			g.checks <- struct{}{}
		}
		wait(http.StatusServiceUnavailable).Wait() // no comparison ends, so all time out
	})
}

// The password for an unknown identity is compared with the decoy, so that it takes as long as for a known one, but is never
// right.
func TestDecoy(t *testing.T) {
	a, err := compileAccounts(Accounts{Users: []User{{"al", "plain"}, {"bo", hashOf(t, "hashed")}}}, newSigner(secret))
	if err != nil {
		t.Fatal(err)
	}
	if a.decoy.hash == nil || !a.usesBcrypt() {
		t.Error("the decoy has no hash")
	}
	for _, identity := range []string{"", "cy"} {
		if _, ok := a.check(identity, "hashed"); ok {
			t.Errorf("%q signs in as the decoy", identity)
		}
	}
	fast, _ := compileAccounts(Accounts{Users: []User{{"al", "plain"}}}, newSigner(secret))
	if _, ok := fast.check("cy", ""); ok || fast.usesBcrypt() {
		t.Error("without hashes, the decoy signs in or checks count as slow")
	}
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, func(o *setup) { o.limits.MessageBurst, o.limits.MessagesPerSecond = 10, 1 })
		s.access.from("192.0.2.50")
		p := s.open()
		for range addrRateFactor*10 - 1 {
			p.must("GET", serversPath, "")
		}
		p.refused("GET", serversPath, "", 429, tooFast)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest("GET", serversPath, nil))
		if w.Header().Get("Retry-After") != "1" {
			t.Errorf("Retry-After is %q, want 1", w.Header().Get("Retry-After"))
		}
		time.Sleep(time.Second) // which earns addrRateFactor requests; the body below costs three more than its request
		p.ask("PATCH", callsPath+"/aaaaaaaaaaaaaaa", description("offer", 3*requestUnit))
		p.refused("GET", serversPath, "", 429, tooFast)
		s.access.from("192.0.2.51")
		p.must("GET", serversPath, "")
		s.access.from("192.0.2.50")
		time.Sleep(time.Second)
		p.must("GET", serversPath, "")
	})
}

// A stream that Access does not admit is refused with the status that fits the error.
func TestStreamNotAdmitted(t *testing.T) {
	s := start(t)
	p := s.open()
	for err, want := range map[error]struct {
		status int
		why    reason
	}{
		signal.ErrConnLimit: {429, tooManyStreams},
		fmt.Errorf("at the gateway: %w", signal.ErrRestarting): {503, restarting},
		errors.Join(errors.New("both"), signal.ErrRestarting):  {503, restarting},
	} {
		s.access.mu.Lock()
		s.access.admitErr = err
		s.access.mu.Unlock()
		p.refused("GET", streamPath, "", want.status, want.why)
	}
}
