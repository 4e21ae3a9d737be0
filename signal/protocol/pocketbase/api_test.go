package pocketbase

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Each request that the SDK sends gets a response with the members that the SDK reads.
func TestResponses(t *testing.T) {
	s := start(t)
	p := s.open()
	signedIn := p.must("POST", signInPath, signInJSON(identity, password))
	record := signedIn["record"].(attributes)
	if len(signedIn["token"].(string)) < 50 || strings.Count(signedIn["token"].(string), ".") != 2 || record["email"] != identity ||
		record["collectionName"] != "users" {
		t.Errorf("sign-in: %v", signedIn)
	}
	if again := p.must("POST", refreshPath, ""); again["record"].(attributes)["id"] != p.user || again["token"] == "" {
		t.Errorf("refresh: %v", again)
	}

	list := p.must("GET", serversPath+"?page=1&perPage=500&skipTotal=1", "")
	if list["page"] != 1.0 || list["perPage"] != 500.0 || list["totalItems"] != -1.0 || list["totalPages"] != -1.0 {
		t.Errorf("the list of servers: %v", list)
	}
	if items := list["items"].([]any); len(items) != 1 || items[0].(attributes)["url"] != "stun:icebox.test:3478" {
		t.Errorf("the servers: %v", items)
	}
	if next := p.must("GET", serversPath+"?page=2&perPage=1", ""); len(next["items"].([]any)) != 0 {
		t.Errorf("the second page: %v", next)
	}

	call := p.must("POST", callsPath, `{"user_id":"whoever_it_is_0"}`)
	id := call["id"].(string)
	stamp := regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z$`)
	if !regexp.MustCompile(`^[a-z0-9]{15}$`).MatchString(id) || !stamp.MatchString(call["created"].(string)) || call["user_id"] != p.user {
		t.Errorf("the call: %v", call)
	}
	want := []string{"answer", "collectionId", "collectionName", "created", "id", "offer", "updated", "user_id"}
	if got := names(call); !slices.Equal(got, want) || call["offer"] != nil || call["answer"] != nil {
		t.Errorf("the call has %q: %v", got, call)
	}
	if got := p.must("PATCH", callsPath+"/"+id, `{"offer":`+offerJSON+`,"later":true}`); got["offer"] == nil || got["answer"] != nil {
		t.Errorf("with an offer: %v", got)
	}
	candidate := p.must("POST", offersPath, candidateJSON(id, 1))
	want = []string{"call_id", "collectionId", "collectionName", "created", "data", "id", "updated"}
	if got := names(candidate); !slices.Equal(got, want) || candidate["call_id"] != id {
		t.Errorf("the candidate has %q: %v", got, candidate)
	}
	if status, body := p.ask("DELETE", callsPath+"/"+id, ""); status != 204 || body != nil {
		t.Errorf("hang-up: %d %v", status, body)
	}
}

func names(o attributes) (names []string) {
	for name := range o {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func TestStreamHeader(t *testing.T) {
	hears := start(t).open().connect()
	for name, want := range map[string]string{
		"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff",
	} {
		if got := hears.resp.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// Hostile and mistaken requests are refused, each with its own status and reason, and have no effect on other clients.
func TestRefusals(t *testing.T) {
	s := start(t)
	p, other := s.open(), s.open("other@example.com", "another password")
	id := p.call()
	hears := p.listen("calls/" + id)
	nobody := &page{server: s}
	deep := `{"call_id":"` + id + `","data":{"a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}}`
	for name, c := range map[string]struct {
		as                 *page
		method, path, body string
		status             int
		why                reason
	}{
		"another path":           {p, "GET", "/api/settings", "", 404, notFound},
		"another collection":     {p, "GET", "/api/collections/users/records", "", 404, notFound},
		"all calls":              {p, "GET", callsPath, "", 405, badMethod},
		"all candidates":         {p, "GET", offersPath, "", 405, badMethod},
		"a path with ..":         {p, "GET", callsPath + "/../" + id, "", 404, notFound},
		"a path with escaped ..": {p, "GET", callsPath + "/%2e%2e%2f" + id[:6], "", 404, notFound},
		"an invalid ID":          {p, "GET", callsPath + "/" + strings.ToUpper(id), "", 404, notFound},
		"an asterisk":            {p, "GET", callsPath + "/*", "", 404, notFound},
		"an unknown call":        {p, "GET", callsPath + "/aaaaaaaaaaaaaaa", "", 404, notFound},
		"answer an unknown call": {p, "PATCH", callsPath + "/aaaaaaaaaaaaaaa", `{"answer":` + answerJSON + `}`, 404, notFound},
		"another method":         {p, "PUT", callsPath + "/" + id, "", 405, badMethod},

		"no token":                  {nobody, "POST", callsPath, "{}", 401, noToken},
		"no token, servers":         {nobody, "GET", serversPath, "", 401, noToken},
		"no token, read":            {nobody, "GET", callsPath + "/" + id, "", 401, noToken},
		"no token, hang up":         {nobody, "DELETE", callsPath + "/" + id, "", 401, noToken},
		"no token, candidate":       {nobody, "POST", offersPath, candidateJSON(id, 1), 401, noToken},
		"no token, refresh":         {nobody, "POST", refreshPath, "", 401, noToken},
		"no token, subscribe":       {nobody, "POST", streamPath, hears.subscription("calls/" + id), 401, noToken},
		"an altered token":          {&page{server: s, token: p.token[:len(p.token)-4] + "AAAA"}, "POST", callsPath, "{}", 401, noToken},
		"a token without signature": {&page{server: s, token: unsigned(p.token)}, "POST", callsPath, "{}", 401, noToken},
		"a malformed token":         {&page{server: s, token: strings.Repeat("a.", 9000)}, "POST", callsPath, "{}", 401, noToken},

		"a wrong password":       {nobody, "POST", signInPath, signInJSON(identity, "wrong"), 400, wrongPassword},
		"a wrong identity":       {nobody, "POST", signInPath, signInJSON("eve@example.com", password), 400, wrongPassword},
		"another's password":     {nobody, "POST", signInPath, signInJSON(identity, "another password"), 400, wrongPassword},
		"no password":            {nobody, "POST", signInPath, `{"identity":"` + identity + `"}`, 400, wrongPassword},
		"a password as a number": {nobody, "POST", signInPath, `{"identity":"` + identity + `","password":123}`, 400, wrongPassword},
		"a long password":        {nobody, "POST", signInPath, signInJSON(identity, strings.Repeat("p", 73)), 400, wrongPassword},
		"a large sign-in":        {nobody, "POST", signInPath, signInJSON(identity, strings.Repeat("p", maxSignIn)), 413, tooLarge},
		"a sign-in of null":      {nobody, "POST", signInPath, "null", 400, wrongPassword},

		"a call that isn't JSON":    {p, "POST", callsPath, "{", 400, badRequest},
		"a call that is a list":     {p, "POST", callsPath, "[]", 400, badRequest},
		"an offer that is a string": {p, "PATCH", callsPath + "/" + id, `{"offer":"v=0"}`, 400, badRequest},
		"an offer without SDP":      {p, "PATCH", callsPath + "/" + id, `{"offer":{"type":"offer"}}`, 400, badRequest},
		"an offer of numbers":       {p, "PATCH", callsPath + "/" + id, `{"offer":{"type":1,"sdp":2}}`, 400, badRequest},
		"an offer that isn't UTF-8": {p, "PATCH", callsPath + "/" + id, "{\"offer\":{\"type\":\"offer\",\"sdp\":\"\xff\"}}", 400, badRequest},
		"another user's offer":      {other, "PATCH", callsPath + "/" + id, `{"offer":` + offerJSON + `}`, 403, notAllowed},
		"an offer above MaxMessage": {p, "PATCH", callsPath + "/" + id, description("offer", 300<<10), 413, tooLarge},
		"an offer above KeptBytes":  {p, "PATCH", callsPath + "/" + id, description("offer", 100<<10), 400, callFull},

		"no such call":             {p, "POST", offersPath, candidateJSON("aaaaaaaaaaaaaaa", 1), 400, notFound},
		"an invalid call ID":       {p, "POST", offersPath, candidateJSON("../../users", 1), 400, notFound},
		"no candidate":             {p, "POST", offersPath, `{"call_id":"` + id + `"}`, 400, badRequest},
		"a null candidate":         {p, "POST", offersPath, `{"call_id":"` + id + `","data":null}`, 400, badRequest},
		"a deep candidate":         {p, "POST", offersPath, deep, 400, badRequest},
		"another user's candidate": {other, "POST", offersPath, candidateJSON(id, 1), 403, notAllowed},
		"a large candidate":        {p, "POST", offersPath, `{"data":{"candidate":"` + strings.Repeat("c", maxCandidate) + `"}}`, 413, tooLarge},

		"another user's stream":    {other, "POST", streamPath, hears.subscription("calls/" + id), 403, otherUser},
		"an unknown stream":        {p, "POST", streamPath, `{"clientId":"AAAA","subscriptions":[]}`, 404, noStream},
		"a stream without ID":      {p, "POST", streamPath, `{"subscriptions":[]}`, 400, badRequest},
		"a topic with a newline":   {p, "POST", streamPath, hears.subscription("calls\nevent:x"), 400, badRequest},
		"a topic with a CR":        {p, "POST", streamPath, hears.subscription("calls\rdata:x"), 400, badRequest},
		"a long topic":             {p, "POST", streamPath, hears.subscription(strings.Repeat("c", maxTopic+1)), 400, badRequest},
		"a topic that is a number": {p, "POST", streamPath, `{"clientId":"` + hears.id + `","subscriptions":[1]}`, 400, badRequest},
		"topics as a string":       {p, "POST", streamPath, `{"clientId":"` + hears.id + `","subscriptions":"calls"}`, 400, badRequest},
		"too many topics":          {p, "POST", streamPath, hears.subscription(many(maxTopics + 1)...), 400, badRequest},
	} {
		t.Run(name, func(t *testing.T) {
			c.as.t = t
			s.access.from("192.0.2.99") // so that the checks below do not run into the rate limit
			s.handler.attempts = newAttemptLimiter()
			c.as.refused(c.method, c.path, c.body, c.status, c.why)
		})
	}
	s.t, p.t = t, t
	// The call still works.
	p.offerCandidate(id, 1)
	other.t = t
	other.answer(id)
	hears.wants("calls/" + id + " update offer:true answer:true")
	if log := s.log(); strings.Contains(log, password) || strings.Contains(log, p.token) || strings.Contains(log, id) {
		t.Errorf("the log contains a secret:\n%s", log)
	}
}

// unsigned returns a copy of a token without a signature, whose header says alg: none.
func unsigned(token string) string {
	parts := strings.Split(token, ".")
	return "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + parts[1] + "."
}

func description(kind string, size int) string {
	return `{"` + kind + `":{"type":"` + kind + `","sdp":"` + strings.Repeat("s", size) + `"}}`
}

func many(n int) (topics []string) {
	for i := range n {
		topics = append(topics, "calls/"+strings.Repeat("a", i+1))
	}
	return topics
}

// The Authorization header may hold the token alone or as a Bearer token. Pages of other origins may use all methods of the
// API.
func TestAuthorization(t *testing.T) {
	s := start(t)
	p := s.open()
	for header, want := range map[string]int{p.token: 200, "Bearer " + p.token: 200, "bearer  " + p.token: 200, "": 401, "Basic " + p.token: 401} {
		r := httptest.NewRequest("GET", serversPath, nil)
		r.Header.Set("Authorization", header)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%.10q: %d, want %d", header, w.Code, want)
		}
		if got := w.Header().Get("Access-Control-Allow-Methods"); !strings.Contains(got, http.MethodPatch) || !strings.Contains(got, http.MethodDelete) {
			t.Errorf("pages of other origins may use only %q", got)
		}
	}
}
