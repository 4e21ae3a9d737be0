package gateway

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"icebox/signal"
)

// iceResponse is one response for all conventions. RTCPeerConnection reads iceServers and iceTransportPolicy; clients of draft-uberti,
// Janus and Matrix read username, password, ttl and uris; Twilio's clients read ice_servers. All of them ignore the other members.
type iceResponse struct {
	ICEServers         []signal.RTCIceServer `json:"iceServers"`
	ICETransportPolicy string                `json:"iceTransportPolicy"`
	Username           string                `json:"username,omitempty"`
	Password           string                `json:"password,omitempty"`
	TTL                int64                 `json:"ttl"`
	Expires            int64                 `json:"expires,omitempty"`
	URIs               []string              `json:"uris"`
	Flat               []flatServer          `json:"ice_servers"`
}

// flatServer is an ICE server with one URL, under both the old and the new name of that member.
type flatServer struct {
	URL        string `json:"url"`
	URLs       string `json:"urls"`
	Username   string `json:"username,omitempty"`
	Credential string `json:"credential,omitempty"`
}

func newICEResponse(s signal.ICEServers) iceResponse {
	resp := iceResponse{
		ICEServers: s.RTC(), ICETransportPolicy: "all", URIs: []string{}, Flat: []flatServer{},
		Username: s.Username, Password: s.Password, TTL: int64(s.TTL.Seconds()),
	}
	if !s.Expires.IsZero() {
		resp.Expires = s.Expires.Unix()
	}
	for _, server := range resp.ICEServers {
		for _, u := range server.URLs {
			resp.Flat = append(resp.Flat, flatServer{URL: u, URLs: u, Username: server.Username, Credential: server.Credential})
			if server.Credential != "" {
				resp.URIs = append(resp.URIs, u)
			}
		}
	}
	return resp
}

// failure is an error response to a request for ICE servers. Clients of Matrix act on the member errcode.
type failure struct {
	status  int
	reason  reason
	Code    string `json:"code"`
	Matrix  string `json:"errcode"`
	Message string `json:"error"`
	retry   string
}

var (
	failMethod   = &failure{http.StatusMethodNotAllowed, badMethod, "method-not-allowed", "M_UNRECOGNIZED", "use GET or POST", ""}
	failBody     = &failure{http.StatusBadRequest, badRequest, "bad-request", "M_BAD_JSON", "the request is malformed", ""}
	failService  = &failure{http.StatusBadRequest, badRequest, "bad-service", "M_INVALID_PARAM", "the parameter service must be turn or be left out", ""}
	failTTL      = &failure{http.StatusBadRequest, badRequest, "bad-ttl", "M_INVALID_PARAM", "the parameter ttl must be a number of seconds above 0", ""}
	failUsername = &failure{http.StatusBadRequest, badRequest, "bad-name", "M_INVALID_PARAM", signal.ErrBadName.Message, ""}
	failNoKey    = &failure{http.StatusUnauthorized, noKey, "no-key", "M_MISSING_TOKEN", "send an API key or the token of a sign-in; only a page of this host needs neither, while access is open", ""}
	failBadKey   = &failure{http.StatusForbidden, badKey, "bad-key", "M_FORBIDDEN", "this server does not know the API key", ""}
	failBadToken = &failure{http.StatusUnauthorized, badKey, "bad-key", "M_UNKNOWN_TOKEN", "this server does not know the API key or token", ""}
	failMinting  = &failure{http.StatusServiceUnavailable, noICE, "unavailable", "M_UNKNOWN", signal.ErrUnavailable.Message, "10"}
	failDraining = &failure{http.StatusServiceUnavailable, restarting, "restarting", "M_UNKNOWN", signal.ErrRestarting.Message, "10"}
)

func (l *listener) serveICE(w http.ResponseWriter, r *http.Request, d *iceFormat, account string) {
	rules := l.rules.Load()
	c := identifyCaller(r, l.Listener, rules.limits.TrustedProxies)
	w.Header().Set("Cache-Control", "no-store")
	if preflight := l.allowPages(w, r, c, rules, "GET, POST"); preflight {
		return
	}
	servers, failed := l.iceFor(w, r, c, rules)
	if failed != nil {
		l.fail(w, c, failed, d.encodeFailure(failed))
		return
	}
	reply(w, d.status, d.encode(servers, account))
}

// iceFor returns ICE servers for a request, or the failure that refuses it.
func (l *listener) iceFor(w http.ResponseWriter, r *http.Request, c caller, rules *rules) (signal.ICEServers, *failure) {
	var none signal.ICEServers
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		w.Header().Set("Allow", "GET, POST, OPTIONS")
		return none, failMethod
	}
	if l.opts.Hub.Draining() {
		return none, failDraining
	}
	p, failed := readParams(w, r)
	if failed != nil {
		return none, failed
	}
	user, failed := l.iceUser(r, c, rules, p)
	if failed != nil {
		return none, failed
	}
	servers, err := l.mint(r.Context(), signal.ICERequest{User: user, Host: c.host, Addr: c.addr, TTL: p.ttl}, l.addrKey(c), viaHTTP)
	var limit *mintLimit
	switch {
	case errors.As(err, &limit):
		return none, &failure{
			http.StatusTooManyRequests, reasons, signal.ErrMintLimited.Code, "M_LIMIT_EXCEEDED",
			signal.ErrMintLimited.Message, retryAfter(limit.wait),
		}
	case err != nil:
		l.log.Warn("no ICE servers for a request", slog.Any("addr", c.addr), slog.Any("error", err))
		return none, failMinting
	}
	return servers, nil
}

// allowPages sets the CORS headers for pages of admitted origins, and responds to a preflight request.
func (l *listener) allowPages(w http.ResponseWriter, r *http.Request, c caller, rules *rules, methods string) (preflight bool) {
	h := w.Header()
	h.Set("Vary", "Origin")
	origins := r.Header["Origin"]
	if len(origins) == 1 && rules.admitsOrigin(origins, c) {
		h.Set("Access-Control-Allow-Origin", origins[0])
		h.Set("Access-Control-Expose-Headers", "Retry-After")
	}
	if r.Method != http.MethodOptions {
		return false
	}
	h.Set("Access-Control-Allow-Methods", methods)
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Last-Event-ID")
	h.Set("Access-Control-Max-Age", strconv.Itoa(2*60*60))
	h.Set("Allow", methods+", OPTIONS")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// fail writes an error response with the given body.
func (l *listener) fail(w http.ResponseWriter, c caller, f *failure, body any) {
	if f.reason < reasons { // a limit on minting has already been counted
		l.countRefusal(c, f.reason)
	}
	if f.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="icebox"`)
	}
	if f.retry != "" {
		w.Header().Set("Retry-After", f.retry)
	}
	reply(w, f.status, body)
}

func reply(w http.ResponseWriter, status int, v any) {
	b, _ := json.Marshal(v) // cannot fail for strings and numbers
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(b) // an error means that the client has gone
}
