package gateway

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"icebox/signal"
)

// iceFormat is the format of responses of one convention for ICE servers over HTTP.
type iceFormat struct {
	// status is the status of a successful response.
	status int
	// encode returns the body of a successful response, to be encoded as JSON. account is the ID in the path, if there is one.
	encode func(s signal.ICEServers, account string) any
	// encodeFailure returns the body of an error response, to be encoded as JSON.
	encodeFailure func(f *failure) any
}

var (
	// common has the members of all conventions that do not contradict each other.
	common = &iceFormat{
		http.StatusOK, func(s signal.ICEServers, _ string) any { return newICEResponse(s) }, func(f *failure) any { return f },
	}
	// Clients of Cloudflare read only the status of an error response.
	cloudflare    = &iceFormat{http.StatusCreated, common.encode, common.encodeFailure}
	cloudflareOld = &iceFormat{http.StatusCreated, cloudflareOldResponse, common.encodeFailure}
	twilio        = &iceFormat{http.StatusCreated, twilioResponse, twilioRefusal}
)

var commonPaths = map[string]bool{
	"/ice": true, "/turn": true, "/api/turn": true, "/turn/credentials": true,
	"/_matrix/client/v3/voip/turnServer": true,
	"/_matrix/client/r0/voip/turnServer": true,
}

// matchICE returns the format for a request for ICE servers, and the account in its path. It returns nil for any other request.
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

// cloudflareOldResponse returns Cloudflare's older response, in which iceServers is one object with all URLs.
func cloudflareOldResponse(s signal.ICEServers, _ string) any {
	one := signal.RTCIceServer{URLs: []string{}, Username: s.Username, Credential: s.Password}
	for _, server := range s.RTC() {
		one.URLs = append(one.URLs, server.URLs...)
	}
	return struct {
		ICEServers signal.RTCIceServer `json:"iceServers"`
	}{one}
}

// twilioToken is Twilio's Token resource. It is the common response with ttl as a string and three more members.
type twilioToken struct {
	iceResponse
	TTL     string `json:"ttl"`
	Account string `json:"account_sid"`
	Created string `json:"date_created"` // in the format of RFC 2822, UTC
	Updated string `json:"date_updated"`
}

func twilioResponse(s signal.ICEServers, account string) any {
	a := newICEResponse(s)
	now := time.Now().UTC().Format(time.RFC1123Z)
	return twilioToken{iceResponse: a, TTL: strconv.FormatInt(a.TTL, 10), Account: account, Created: now, Updated: now}
}

// twilioCodes are Twilio's error codes by HTTP status. Its clients display them and act on some of them.
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
