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

// hashOf makes a hash that is cheap to compare with.
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

// signsIn reports the status of a sign-in.
func (s *server) signsIn(identity, password string) int {
	status, _ := (&page{server: s}).ask("POST", signInPath, signInJSON(identity, password))
	return status
}

func TestPasswords(t *testing.T) {
	s := newServer(t, with(User{"al", "plain"}, User{"bo", hashOf(t, "hashed")}))
	defer s.shutdown()
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

func TestAccountsThatMakeNoSense(t *testing.T) {
	s := newServer(t)
	defer s.shutdown()
	slow := strings.Replace(hashOf(t, "x"), "$04$", "$15$", 1)
	for name, u := range map[string]User{
		"no identity": {"", "password"}, "a long identity": {strings.Repeat("i", 256), "password"}, "a line": {"a\nb", "password"},
		"no password": {"al", ""}, "a long password": {"al", strings.Repeat("p", 73)}, "a slow hash": {"al", slow},
	} {
		if err := s.handler.SetAccounts(Accounts{Users: []User{u}}); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if s.signsIn(identity, password) != 200 {
		t.Error("what was refused has replaced what was there")
	}
}

// A token ends with its user, or with the user's password, and its stream does too.
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
			t.Errorf("%s: gets a relay", name)
		}
	}
	hears.ends()
}

// Tokens and the IDs of users outlive the process, and a token its life.
func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		p := s.open()
		s.shutdown()
		s = newServer(t)
		defer s.shutdown()
		p.server = s
		p.must("GET", serversPath, "")
		if again := s.open(); again.user != p.user {
			t.Errorf("%s was %s", again.user, p.user)
		}
		time.Sleep(tokenLife - time.Minute)
		fresh := *p
		fresh.token = p.must("POST", refreshPath, "")["token"].(string)
		time.Sleep(2 * time.Minute)
		if status, _ := p.ask("GET", serversPath, ""); status != 401 {
			t.Errorf("with an expired token: %d", status)
		}
		fresh.must("GET", serversPath, "")
		// The SDK keeps the token in the browser, and shows it to sign in anew.
		p.must("POST", signInPath, signInJSON(identity, password))
	})
}

// When it is no longer for anyone, those who came in so are out.
func TestNoLongerAnyone(t *testing.T) {
	s := newServer(t, anyone)
	defer s.shutdown()
	p := s.open("al", "x")
	p.must("GET", serversPath, "")
	if err := s.handler.SetAccounts(Accounts{Users: []User{{"al", "x"}}}); err != nil {
		t.Fatal(err)
	}
	p.refused("GET", serversPath, "", 401, noToken)
}

func TestBearer(t *testing.T) {
	s := newServer(t, anyone)
	defer s.shutdown()
	for as, want := range map[string]string{identity: "pocketbase\x00" + identity, "eve@example.com": ""} {
		if user, ok := s.handler.Bearer(s.open(as, password).token); !ok || user != want {
			t.Errorf("%s: %q %v", as, user, ok)
		}
	}
	for _, token := range []string{"", "junk", "a.b.c"} {
		if _, ok := s.handler.Bearer(token); ok {
			t.Errorf("%q is a token", token)
		}
	}
}

func TestAnyone(t *testing.T) {
	s := newServer(t, anyone)
	defer s.shutdown()
	al := s.open("al", "x")
	ids := map[string]bool{al.user: true}
	if again := s.open("al", "x"); again.user != al.user || again.token == al.token {
		t.Errorf("the same from the same address: %s and %s", again.user, al.user)
	}
	ids[s.open("al", "y").user] = true
	ids[s.open("bo", "x").user] = true
	ids[s.open(identity, password).user] = true
	s.access.from("2001:db8::1")
	six := s.open("al", "x").user
	ids[six] = true
	s.access.from("2001:db8::2")
	if s.open("al", "x").user != six {
		t.Error("another user within a /64")
	}
	if len(ids) != 5 {
		t.Errorf("users are the same: %v", ids)
	}
	if status := s.signsIn(identity, "wrong"); status != 400 {
		t.Errorf("as one of the users, with any password: %d", status)
	}
}

// Whom access doesn't let in is nobody, and what it says holds here too.
func TestAnyoneByAccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, anyone)
		defer s.shutdown()
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
			t.Error("the token doesn't say who it is")
		}
		time.Sleep(50 * time.Minute)
		al.token = al.must("POST", refreshPath, "")["token"].(string)
		time.Sleep(11 * time.Minute)
		if status, _ := al.ask("GET", serversPath, ""); status != 401 {
			t.Errorf("a refreshed token outlives what it was made of: %d", status)
		}
	})
}

func TestGuessing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		defer s.shutdown()
		guess := func(from, as string, want int) {
			t.Helper()
			s.access.from(from)
			if got := s.signsIn(as, "wrong"); got != want {
				t.Fatalf("a guess from %s: %d, want %d", from, got, want)
			}
		}
		p := s.open()
		for range 100 { // what is right costs nothing
			s.open()
		}
		for range 30 {
			guess("192.0.2.1", "eve@example.com", 400)
		}
		guess("192.0.2.1", identity, 429)
		if s.signsIn(identity, password) != 429 {
			t.Error("who has guessed too much can go on guessing")
		}
		// An IPv6 client has a /64.
		for i := range 30 {
			guess(fmt.Sprintf("2001:db8::%x", i), "eve@example.com", 400)
		}
		guess("2001:db8::ffff", "eve@example.com", 429)
		// From many addresses, for one identity.
		for i := range 100 {
			guess(fmt.Sprintf("198.51.100.%d", i), identity, 400)
		}
		guess("198.51.100.101", identity, 429)
		s.access.from("203.0.113.1")
		if s.signsIn(identity, password) != 429 {
			t.Error("a password is guessed from many addresses")
		}
		if s.signsIn("other@example.com", "another password") != 200 {
			t.Error("another user is kept out")
		}
		p.must("POST", signInPath, signInJSON(identity, password)) // who has been here before
		time.Sleep(time.Minute)
		s.open()
		guess("192.0.2.1", "eve@example.com", 400)
	})
}

// However many sign in, no more than two hashes are compared at a time, and the others are told to come again.
func TestHashesAreSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, with(User{identity, hashOf(t, password)}))
		defer s.shutdown()
		g := s.handler.attempts
		for range maxChecks {
			g.checks <- struct{}{}
		}
		wait := func(want int) *sync.WaitGroup {
			var all sync.WaitGroup
			for range maxPending {
				all.Go(func() {
					if status := s.signsIn(identity, password); status != want {
						t.Errorf("who had to wait: %d, want %d", status, want)
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
		wait(http.StatusServiceUnavailable).Wait() // for too long
	})
}

// A stranger takes as long as somebody who is known.
func TestStrangersAreCompared(t *testing.T) {
	a, err := compileAccounts(Accounts{Users: []User{{"al", "plain"}, {"bo", hashOf(t, "hashed")}}}, newSigner(secret))
	if err != nil {
		t.Fatal(err)
	}
	if a.decoy.hash == nil || !a.usesBcrypt() {
		t.Error("strangers are compared with nothing")
	}
	for _, identity := range []string{"", "cy"} {
		if _, ok := a.check(identity, "hashed"); ok {
			t.Errorf("%q is the decoy", identity)
		}
	}
	fast, _ := compileAccounts(Accounts{Users: []User{{"al", "plain"}}}, newSigner(secret))
	if _, ok := fast.check("cy", ""); ok || fast.usesBcrypt() {
		t.Error("without hashes nothing is slow")
	}
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, func(o *setup) { o.limits.MessageBurst, o.limits.MessagesPerSecond = 10, 1 })
		defer s.shutdown()
		s.access.from("192.0.2.50")
		p := s.open()
		for range addrRateFactor*10 - 1 {
			p.must("GET", serversPath, "")
		}
		p.refused("GET", serversPath, "", 429, tooFast)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest("GET", serversPath, nil))
		if w.Header().Get("Retry-After") != "1" {
			t.Errorf("come again after %q", w.Header().Get("Retry-After"))
		}
		time.Sleep(time.Second) // after which there may be four
		p.ask("PATCH", callsPath+"/aaaaaaaaaaaaaaa", description("offer", 3*requestUnit))
		p.refused("GET", serversPath, "", 429, tooFast)
		s.access.from("192.0.2.51")
		p.must("GET", serversPath, "")
		s.access.from("192.0.2.50")
		time.Sleep(time.Second)
		p.must("GET", serversPath, "")
	})
}

func TestDoorIsShut(t *testing.T) {
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
