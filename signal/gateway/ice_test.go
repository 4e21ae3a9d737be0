package gateway

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"icebox/signal"
	"icebox/signal/signaltest"
)

func TestOneResponseForAllConventions(t *testing.T) {
	s := serve(t, public, withKeys)
	const want = `{
		"iceServers": [
			{"urls": ["stun:t:3478"]},
			{"urls": ["turn:t:3478?transport=udp", "turns:t:5349?transport=tcp"], "username": "1700003600:web/al", "credential": "pw="}
		],
		"iceTransportPolicy": "all",
		"username": "1700003600:web/al", "password": "pw=", "ttl": 3600, "expires": 1700003600,
		"uris": ["turn:t:3478?transport=udp", "turns:t:5349?transport=tcp"],
		"ice_servers": [
			{"url": "stun:t:3478", "urls": "stun:t:3478"},
			{"url": "turn:t:3478?transport=udp", "urls": "turn:t:3478?transport=udp", "username": "1700003600:web/al", "credential": "pw="},
			{"url": "turns:t:5349?transport=tcp", "urls": "turns:t:5349?transport=tcp", "username": "1700003600:web/al", "credential": "pw="}
		]
	}`
	var wanted map[string]any
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	form := headers("Content-Type", "application/x-www-form-urlencoded")
	for name, c := range map[string]struct {
		method, path, body string
		header             http.Header
	}{
		"own":                 {"GET", "/ice?username=al&key=" + secretKey, "", nil},
		"own, form":           {"POST", "/ice", "username=al&key=" + secretKey, form},
		"own, JSON":           {"POST", "/ice", `{"username":"al","key":"` + secretKey + `","ttl":86400,"x":[]}`, headers("Content-Type", "application/json; charset=utf-8")},
		"own, no body":        {"POST", "/ice?username=al", "", headers("Authorization", "Bearer "+secretKey, "Content-Type", "application/json")},
		"draft":               {"GET", "/?service=turn&username=al&key=" + secretKey, "", nil},
		"draft, /turn":        {"GET", "/turn?service=turn&username=al&key=" + secretKey, "", nil},
		"flutter":             {"GET", "/api/turn?service=turn&username=al&apiKey=" + secretKey, "", nil},
		"Janus":               {"POST", "/turn/credentials?service=turn&username=al&api=" + secretKey, "", nil},
		"Matrix v3":           {"GET", "/_matrix/client/v3/voip/turnServer?username=al", "", headers("Authorization", "bearer "+secretKey)},
		"Matrix r0":           {"GET", "/_matrix/client/r0/voip/turnServer?username=al", "", headers("Authorization", "Bearer "+secretKey)},
		"password":            {"GET", "/ice?username=al", "", headers("Authorization", "Basic "+basic("who", secretKey))},
		"a page with the key": {"GET", "/ice?username=al&key=" + secretKey, "", headers("Origin", "https://evil.example")},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			resp, got := s.ask(c.method, c.path, c.body, c.header)
			if resp.StatusCode != 200 || resp.Header.Get("Cache-Control") != "no-store" {
				t.Fatalf("%d %v %v", resp.StatusCode, resp.Header, got)
			}
			if diff := cmp.Diff(wanted, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func basic(user, password string) string {
	r := http.Request{Header: make(http.Header)}
	r.SetBasicAuth(user, password)
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return token
}

func TestSecretsForICEServers(t *testing.T) {
	open, closed := serve(t, public, withKeys), serve(t, public, byKey)
	at := func(s *site) string { u, _ := url.Parse(s.url); return u.Host }
	for name, c := range map[string]struct {
		site   *site
		path   string
		header http.Header
		status int
		code   string
		user   string
	}{
		"nobody":                         {open, "/ice", nil, 401, "no-key", ""},
		"nobody, by key":                 {closed, "/ice", nil, 401, "no-key", ""},
		"a wrong key":                    {open, "/ice?key=wrong", nil, 403, "bad-key", ""},
		"a wrong key of a page":          {open, "/ice?key=wrong", headers("Sec-Fetch-Site", "same-origin"), 403, "bad-key", ""},
		"a wrong bearer":                 {open, "/ice", headers("Authorization", "Bearer x"), 401, "bad-key", ""},
		"a wrong password":               {closed, "/ice", headers("Authorization", "Basic YTpi"), 401, "bad-key", ""},
		"a key":                          {open, "/ice?key=" + secretKey, nil, 200, "", "web"},
		"a key, by key":                  {closed, "/ice?key=another-key", nil, 200, "", "app"},
		"own page":                       {open, "/ice", headers("Sec-Fetch-Site", "same-origin"), 200, "", "@127.0.0.1"},
		"own page behind Basic":          {open, "/ice", headers("Sec-Fetch-Site", "same-origin", "Authorization", "Basic YTpi"), 200, "", "@127.0.0.1"},
		"own page, by key":               {closed, "/ice", headers("Sec-Fetch-Site", "same-origin"), 401, "no-key", ""},
		"own page by origin":             {open, "/ice", headers("Origin", open.url), 200, "", "@127.0.0.1"},
		"own page on another port":       {open, "/ice", headers("Origin", "http://127.0.0.1:1", "Sec-Fetch-Site", "same-site"), 200, "", "@127.0.0.1"},
		"own page by referer":            {open, "/ice", headers("Referer", open.url+"/x?y"), 200, "", "@127.0.0.1"},
		"a /64":                          {open, "/ice", headers("Origin", open.url, "X-Forwarded-For", "2001:db8::5"), 200, "", "@2001:db8::"},
		"another page":                   {open, "/ice", headers("Sec-Fetch-Site", "cross-site"), 401, "no-key", ""},
		"another page of the site":       {open, "/ice", headers("Sec-Fetch-Site", "same-site"), 401, "no-key", ""},
		"typed by hand":                  {open, "/ice", headers("Sec-Fetch-Site", "none"), 401, "no-key", ""},
		"another page by origin":         {open, "/ice", headers("Origin", "https://evil.example"), 401, "no-key", ""},
		"another page by referer":        {open, "/ice", headers("Referer", "https://evil.example/"+at(open)), 401, "no-key", ""},
		"a null origin":                  {open, "/ice", headers("Origin", "null", "Sec-Fetch-Site", "same-origin"), 401, "no-key", ""},
		"own page of the other scheme":   {open, "/ice", headers("Referer", open.url, "X-Forwarded-Proto", "https"), 401, "no-key", ""},
		"a bad service":                  {open, "/ice?service=stun&key=" + secretKey, nil, 400, "bad-service", ""},
		"an empty service":               {open, "/turn?service=&key=" + secretKey, nil, 400, "bad-service", ""},
		"a bad ttl":                      {open, "/ice?ttl=soon&key=" + secretKey, nil, 400, "bad-ttl", ""},
		"no ttl at all":                  {open, "/ice?ttl=0&key=" + secretKey, nil, 400, "bad-ttl", ""},
		"a bad name":                     {open, "/ice?username=a%0ab&key=" + secretKey, nil, 400, "bad-name", ""},
		"a long name":                    {open, "/ice?username=" + strings.Repeat("x", 129) + "&key=" + secretKey, nil, 400, "bad-name", ""},
		"a bad query":                    {open, "/ice?%zz&key=" + secretKey, nil, 400, "bad-request", ""},
		"a key of Matrix, wrong":         {open, "/_matrix/client/v3/voip/turnServer", headers("Authorization", "Bearer x"), 401, "bad-key", ""},
		"draft at the root, a wrong key": {open, "/?service=turn&key=x", nil, 403, "bad-key", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c.site.t = t
			resp, got := c.site.ask("GET", c.path, "", c.header)
			if resp.StatusCode != c.status || resp.Header.Get("Cache-Control") != "no-store" {
				t.Fatalf("%d %v %v", resp.StatusCode, resp.Header, got)
			}
			if c.status == 200 {
				if user := c.site.lastAsked().User; user != c.user {
					t.Errorf("user %q, want %q", user, c.user)
				}
				return
			}
			if got["code"] != c.code || got["errcode"] == "" || got["error"] == "" {
				t.Errorf("answer %v", got)
			}
			if (c.status == 401) != (resp.Header.Get("WWW-Authenticate") != "") {
				t.Errorf("challenge %q", resp.Header.Get("WWW-Authenticate"))
			}
		})
	}
}

func TestMethodsAndBodies(t *testing.T) {
	s := serve(t, public, withKeys)
	for _, method := range []string{"HEAD", "PUT", "DELETE"} {
		resp, _ := s.ask(method, "/ice?key="+secretKey, "", nil)
		if resp.StatusCode != 405 || resp.Header.Get("Allow") == "" {
			t.Errorf("%s: %d %v", method, resp.StatusCode, resp.Header)
		}
	}
	kind := headers("Content-Type", "application/json")
	for _, body := range []string{"{", "[]", `"x"`, strings.Repeat(" ", maxBody) + "{}"} {
		if resp, _ := s.ask("POST", "/ice?key="+secretKey, body, kind); resp.StatusCode != 400 {
			t.Errorf("%.20q: %d", body, resp.StatusCode)
		}
	}
	kind.Set("Content-Type", "application/x-www-form-urlencoded")
	if resp, _ := s.ask("POST", "/ice", "key="+strings.Repeat("x", maxBody), kind); resp.StatusCode != 400 {
		t.Errorf("a long form: %d", resp.StatusCode)
	}
}

func TestBearerOfALiveSignIn(t *testing.T) {
	s := serve(t, public, byKey)
	ws, _ := s.dial("/ws?key="+secretKey, nil)
	token := s.login(ws, "al").Token
	resp, _ := s.ask("GET", "/ice?username=somebody", "", headers("Authorization", "Bearer "+token))
	if resp.StatusCode != 200 || s.lastAsked().User != "al" {
		t.Fatalf("%d, for %q", resp.StatusCode, s.lastAsked().User)
	}
	_ = ws.Close()
	signaltest.Until(t, "the token ends with its connection", func() bool {
		resp, _ := s.ask("GET", "/ice", "", headers("Authorization", "Bearer "+token))
		return resp.StatusCode == 401
	})
}

func TestCallersMayLowerTheTTL(t *testing.T) {
	s := serve(t, public, withKeys)
	for query, want := range map[string]float64{"": 3600, "&ttl=60": 60, "&ttl=86400": 3600, "&ttl=9223372036854775807": 3600} {
		if _, got := s.ask("GET", "/ice?key="+secretKey+query, "", nil); got["ttl"] != want {
			t.Errorf("%q: ttl %v, want %v", query, got["ttl"], want)
		}
	}
}

func TestCORSForICEServers(t *testing.T) {
	s := serve(t, public, withKeys, func(l *signal.Limits) { l.Origins = []string{"https://app.example.org"} })
	for origin, want := range map[string]string{
		"https://app.example.org": "https://app.example.org", "http://127.0.0.1:1": "http://127.0.0.1:1", "https://evil.example": "", "null": "",
	} {
		ask := headers("Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization")
		resp, _ := s.ask("OPTIONS", "/ice", "", ask)
		if got := resp.Header.Get("Access-Control-Allow-Origin"); got != want || resp.StatusCode != 204 {
			t.Errorf("preflight from %q: %d, allowed %q", origin, resp.StatusCode, got)
		}
		if !strings.Contains(resp.Header.Get("Access-Control-Allow-Headers"), "Authorization") {
			t.Errorf("headers %v", resp.Header)
		}
		resp, _ = s.ask("GET", "/ice?key="+secretKey, "", headers("Origin", origin))
		if got := resp.Header.Get("Access-Control-Allow-Origin"); got != want || resp.Header.Get("Vary") != "Origin" {
			t.Errorf("from %q: allowed %q, vary %q", origin, got, resp.Header.Get("Vary"))
		}
		if resp.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Error("credentials are allowed")
		}
	}
}

func TestMintingIsLimited(t *testing.T) {
	s := serve(t, public, func(l *signal.Limits) { l.MintsPerAddr, l.MintsTotal = 2, 5 })
	from := func(addr string) http.Header { return headers("Origin", s.url, "X-Forwarded-For", addr) }
	for range 2 {
		if resp, _ := s.ask("GET", "/ice", "", from("192.0.2.1")); resp.StatusCode != 200 {
			t.Fatalf("status %d within the limit", resp.StatusCode)
		}
	}
	resp, got := s.ask("GET", "/ice", "", from("192.0.2.1"))
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "30" || got["code"] != "mint-limited" {
		t.Errorf("the third of an address: %d, retry after %q, %v", resp.StatusCode, resp.Header.Get("Retry-After"), got)
	}
	// A forged entry of the header does not get a limit of its own.
	if resp, _ := s.ask("GET", "/ice", "", from("203.0.113.5, 192.0.2.1")); resp.StatusCode != 429 {
		t.Errorf("with a forged entry: %d", resp.StatusCode)
	}
	// A sign-in succeeds, but gets no ICE servers above the limit.
	ws, _ := s.dial("/ws", from("192.0.2.1"))
	if reply := s.login(ws, "al"); reply.ICEServers != nil || reply.ICEError.Code != "mint-limited" {
		t.Errorf("sign-in over the limit: %+v", reply)
	}
	for range 3 {
		ws, _ := s.dial("/ws", from("192.0.2.9"))
		s.login(ws, "bo")
		_ = ws.Close()
		ws, _ = s.dial("/ws", from("192.0.2.8"))
		s.login(ws, "cy")
		_ = ws.Close()
	}
	if resp, _ := s.ask("GET", "/ice", "", from("192.0.2.7")); resp.StatusCode != 429 {
		t.Errorf("over the limit in all: %d", resp.StatusCode)
	}
	if len(s.asked) != 5 {
		t.Errorf("%d credentials were minted, want 5", len(s.asked))
	}
}

func TestForgedForwardingIsIgnoredFromDirectClients(t *testing.T) {
	s := serve(t, public, func(l *signal.Limits) { l.MintsPerAddr, l.TrustedProxies = 1, nil })
	for i, addr := range []string{"192.0.2.1", "192.0.2.2"} {
		resp, _ := s.ask("GET", "/ice", "", headers("Origin", s.url, "X-Forwarded-For", addr))
		if want := []int{200, 429}[i]; resp.StatusCode != want {
			t.Errorf("as %s: %d, want %d", addr, resp.StatusCode, want)
		}
	}
	if got := s.lastAsked().Addr; got != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("the provider was told of %v", got)
	}
}

func TestWithoutAProvider(t *testing.T) {
	s := serve(t, public)
	g, err := New(Options{Hub: s.hub}, signal.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "http://example.org/ice", nil)
	r.Header.Set("Origin", "http://example.org")
	g.Listener(public).ServeHTTP(w, r)
	if w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("ICE servers: %d", w.Code)
	}
	w = httptest.NewRecorder()
	g.Listener(public).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != 404 {
		t.Errorf("pages: %d", w.Code)
	}
}

func TestEverySeriesExistsFromTheStart(t *testing.T) {
	s := serve(t, public)
	reg := prometheus.NewPedanticRegistry()
	if _, err := New(Options{Hub: s.hub, Registerer: reg}, signal.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	n, err := testutil.GatherAndCount(reg, "icebox_http_requests_total", "icebox_http_refused_total",
		"icebox_signal_credentials_total", "icebox_http_websockets")
	if want := int(routes) + int(reasons) + int(vias) + 1; err != nil || n != want {
		t.Errorf("%d series, want %d (%v)", n, want, err)
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}
