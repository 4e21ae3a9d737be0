package gateway

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"icebox/signal"
)

// iceFormat is a convention of asking for ICE servers over HTTP: which paths it has, and how answers look.
type iceFormat struct {
	// status of an answer that has ICE servers.
	status int
	// encode is what to encode; account is from the path, where the convention has one there.
	encode func(s signal.ICEServers, account string) any
	// encodeFailure is what to encode.
	encodeFailure func(f *failure) any
}

var (
	// common has the members of all conventions that don't contradict each other.
	common = &iceFormat{
		http.StatusOK, func(s signal.ICEServers, _ string) any { return newICEResponse(s) }, func(f *failure) any { return f },
	}
	// cloudflare's clients look at the status of a refusal and no further.
	cloudflare    = &iceFormat{http.StatusCreated, common.encode, common.encodeFailure}
	cloudflareOld = &iceFormat{http.StatusCreated, cloudflareOldResponse, common.encodeFailure}
	twilio        = &iceFormat{http.StatusCreated, twilioResponse, twilioRefusal}
)

var commonPaths = map[string]bool{
	"/ice": true, "/turn": true, "/api/turn": true, "/turn/credentials": true,
	"/_matrix/client/v3/voip/turnServer": true,
	"/_matrix/client/r0/voip/turnServer": true,
}

// matchICE returns the dialect of a request for ICE servers and the account in its path, or nil for any other request.
func matchICE(r *http.Request) (d *iceFormat, account string) {
	path := r.URL.Path
	if commonPaths[path] || path == "/" && r.URL.RawQuery != "" && r.URL.Query().Has("service") {
		return common, ""
	}
	if rest, ok := strings.CutPrefix(path, "/2010-04-01/Accounts/"); ok {
		if account, op, _ := strings.Cut(rest, "/"); op == "Tokens.json" {
			return twilio, account
		}
	}
	if rest, ok := strings.CutPrefix(path, "/v1/turn/keys/"); ok {
		switch account, op, _ := strings.Cut(rest, "/"); op {
		case "credentials/generate-ice-servers":
			return cloudflare, account
		case "credentials/generate":
			return cloudflareOld, account
		}
	}
	return nil, ""
}

// cloudflareOldResponse is Cloudflare's older answer, of which iceServers is one object that has all URLs.
func cloudflareOldResponse(s signal.ICEServers, _ string) any {
	one := signal.RTCIceServer{URLs: []string{}, Username: s.Username, Credential: s.Password}
	for _, server := range s.RTC() {
		one.URLs = append(one.URLs, server.URLs...)
	}
	return struct {
		ICEServers signal.RTCIceServer `json:"iceServers"`
	}{one}
}

// twilioToken is Twilio's Token resource: the common answer, but ttl is a string, and what its clients read besides.
type twilioToken struct {
	iceResponse
	TTL     string `json:"ttl"`
	Account string `json:"account_sid"`
	Created string `json:"date_created"` // as in mail (RFC 2822), UTC
	Updated string `json:"date_updated"`
}

func twilioResponse(s signal.ICEServers, account string) any {
	a := newICEResponse(s)
	now := time.Now().UTC().Format(time.RFC1123Z)
	return twilioToken{iceResponse: a, TTL: strconv.FormatInt(a.TTL, 10), Account: account, Created: now, Updated: now}
}

// twilioCodes are Twilio's own numbers, by status; its clients show them, and decide by some.
var twilioCodes = map[int]int{
	http.StatusBadRequest: 20001, http.StatusUnauthorized: 20003, http.StatusForbidden: 20003,
	http.StatusMethodNotAllowed: 20004, http.StatusTooManyRequests: 20429, http.StatusServiceUnavailable: 20503,
}

type twilioError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	More    string `json:"more_info"`
	Status  int    `json:"status"`
}

func twilioRefusal(f *failure) any {
	return twilioError{Code: twilioCodes[f.status], Message: f.Message, More: f.Code, Status: f.status}
}
