package pocketbase

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"icebox/signal"
	"icebox/signal/signaltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	identity = "test@example.com"
	password = "Test123456789"
)

var secret = []byte("a secret of at least 32 bytes, which outlives a process")

// fakeAccess is an Access whose decisions a test controls.
type fakeAccess struct {
	authorize func(secrets ...string) (signal.Visitor, error) // nil authorizes every request

	mu       sync.Mutex
	addr     netip.Addr // the client's
	admitErr error      // the result of Admit
	entered  int        // connections that Admit counted and that were not released
}

func (a *fakeAccess) Caller() signal.Visitor {
	a.mu.Lock()
	defer a.mu.Unlock()
	return signal.Visitor{Addr: a.addr, Host: "icebox.test", Base: "https://icebox.test"}
}

// from sets the client address of the following requests.
func (a *fakeAccess) from(addr string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.addr = netip.MustParseAddr(addr)
}

func (a *fakeAccess) Authorize(secrets ...string) (signal.Visitor, error) {
	if a.authorize == nil {
		return a.Caller(), nil
	}
	return a.authorize(secrets...)
}

func (a *fakeAccess) Admit() (func(), error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.admitErr != nil {
		return nil, a.admitErr
	}
	a.entered++
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.entered--
	}, nil
}

// admitted returns the number of connections that have not been released.
func (a *fakeAccess) admitted() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.entered
}

func (a *fakeAccess) AllowCORS(w http.ResponseWriter, methods string) bool {
	w.Header().Set("Access-Control-Allow-Methods", methods)
	return false
}

// setup holds the options of a server that a test may change.
type setup struct {
	limits   signal.Limits
	hub      signal.Options
	accounts Accounts
}

// server is a Handler with its hub, a fakeAccess and its log output.
type server struct {
	t        *testing.T
	hub      *signal.Hub
	handler  *Handler
	registry *prometheus.Registry
	url      string
	access   fakeAccess

	mu     sync.Mutex
	logged bytes.Buffer
}

// Write implements io.Writer. It receives the log output.
func (s *server) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logged.Write(p)
}

func (s *server) log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logged.String()
}

// newServer returns a server that does not listen. Tests call its ServeHTTP. Its hub is shut down when the test ends.
func newServer(t *testing.T, changes ...func(*setup)) *server {
	t.Helper()
	o := setup{limits: signal.DefaultLimits(), accounts: Accounts{Users: []User{{identity, password}, {"other@example.com", "another password"}}}}
	for _, f := range changes {
		f(&o)
	}
	s := &server{t: t, registry: prometheus.NewRegistry(), access: fakeAccess{addr: netip.MustParseAddr("192.0.2.7")}}
	log := slog.New(slog.NewTextHandler(s, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o.hub.Logger, o.hub.ClientPrefix = log, signaltest.ClientPrefix
	s.hub = signaltest.Hub(t, o.hub, o.limits)
	var err error
	s.handler, err = New(Options{
		Hub: s.hub, Secret: secret, STUN: func(host string) []string { return []string{"stun:" + host + ":3478"} },
		Logger: log, Registerer: s.registry,
	}, o.accounts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// shutdown shuts the hub down and waits for its goroutines.
func (s *server) shutdown() {
	s.t.Helper()
	signaltest.ShutDown(s.t, s.hub)
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.Serve(w, r, &s.access) }

// start returns a server that listens on a local port until the test ends.
func start(t *testing.T, changes ...func(*setup)) *server {
	t.Helper()
	s := newServer(t, changes...)
	s.url = signaltest.Serve(t, s.hub, s)
	return s
}

// count returns the value of a counter or gauge. label is the value of its only label; "" takes the first series.
func (s *server) count(name, label string) float64 {
	s.t.Helper()
	return signaltest.Metric(s.t, s.registry, "icebox_pocketbase_"+name, "", label)
}

// attributes is a decoded JSON object.
type attributes = map[string]any

// page is a client that sends requests as the SDK does, with the token alone in the Authorization header.
type page struct {
	*server
	token string
	user  string
}

// ask sends a request and returns the status and the body. It calls the handler directly, without a connection. Event
// streams need a connection; see connect.
func (p *page) ask(method, path, body string) (int, attributes) {
	p.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept-Language", "en-US")
	if p.token != "" {
		r.Header.Set("Authorization", p.token)
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	text, _ := io.ReadAll(w.Body)
	var o attributes
	if len(text) > 0 {
		if err := json.Unmarshal(text, &o); err != nil {
			p.t.Fatalf("%s %s: %q: %v", method, path, text, err)
		}
	}
	return w.Code, o
}

// must sends a request that has to succeed, and returns the body.
func (p *page) must(method, path, body string) attributes {
	p.t.Helper()
	status, o := p.ask(method, path, body)
	if status != http.StatusOK && status != http.StatusNoContent {
		p.t.Fatalf("%s %s %s: %d %v", method, path, body, status, o)
	}
	return o
}

// refused sends a request that has to be refused, and checks the status, the format of the error and the refusal's metric.
func (p *page) refused(method, path, body string, status int, why reason) {
	p.t.Helper()
	before := p.count("refused_total", why.String())
	got, o := p.ask(method, path, body)
	message, _ := o["message"].(string)
	data, isObject := o["data"].(attributes)
	if got != status || o["code"] != float64(status) || message == "" || !isObject {
		p.t.Errorf("%s %s %.80s: %d %v, want %d", method, path, body, got, o, status)
	}
	for name, field := range data {
		if f, _ := field.(attributes); f["code"] == nil || f["message"] == nil {
			p.t.Errorf("%s %s: %s is %v", method, path, name, field)
		}
	}
	if p.count("refused_total", why.String()) != before+1 {
		p.t.Errorf("%s %s %.80s: the refusal is not counted as %s", method, path, body, why)
	}
}

const (
	signInPath  = "/api/collections/users/auth-with-password"
	refreshPath = "/api/collections/users/auth-refresh"
	serversPath = "/api/collections/ice_servers/records"
	callsPath   = "/api/collections/calls/records"
	offersPath  = "/api/collections/offer_candidates/records"
	answersPath = "/api/collections/answer_candidates/records"
	streamPath  = "/api/realtime"
)

func signInJSON(identity, password string) string {
	return string(append(appendMember(append([]byte(`{"identity":`), quote(identity)...), "password", quote(password)), '}'))
}

// open signs in as the demo's page does when it is loaded: with the given identity and password, or as the first user.
func (s *server) open(as ...string) *page {
	s.t.Helper()
	if len(as) == 0 {
		as = []string{identity, password}
	}
	p := &page{server: s}
	o := p.must("POST", signInPath, signInJSON(as[0], as[1]))
	p.token, p.user = o["token"].(string), o["record"].(attributes)["id"].(string)
	return p
}

const (
	offerJSON  = `{"sdp":"v=0\r\no=- 1 <&> \u2028","type":"offer"}`
	answerJSON = `{"type":"answer","sdp":"v=0\r\no=- 2"}`
)

func candidateJSON(call string, n int) string {
	return fmt.Sprintf(`{"call_id":%q,"data":{"candidate":"candidate:%d 1 udp 1 192.0.2.1 5000 typ host","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"abcd"}}`, call, n)
}

// call creates a call as the demo's page does, and returns its ID.
func (p *page) call() string {
	p.t.Helper()
	id := p.must("POST", callsPath, fmt.Sprintf(`{"user_id":%q}`, p.user))["id"].(string)
	p.must("PATCH", callsPath+"/"+id, `{"offer":`+offerJSON+`}`)
	return id
}

func (p *page) offerCandidate(call string, n int) {
	p.t.Helper()
	p.must("POST", offersPath, candidateJSON(call, n))
}

func (p *page) answerCandidate(call string, n int) {
	p.t.Helper()
	p.must("POST", answersPath, candidateJSON(call, n))
}

func (p *page) read(call string) attributes {
	p.t.Helper()
	return p.must("GET", callsPath+"/"+call, "")
}

func (p *page) answer(call string) {
	p.t.Helper()
	p.must("PATCH", callsPath+"/"+call, `{"answer":`+answerJSON+`}`)
}

func (p *page) hangUp(call string) {
	p.t.Helper()
	p.must("DELETE", callsPath+"/"+call, "")
}

func contains(text, part string) bool { return strings.Contains(text, part) }
