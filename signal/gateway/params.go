package gateway

import (
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"icebox/signal"
)

// maxBody is the longest body in bytes of a request for ICE servers.
const maxBody = 8 << 10

// params are the parameters of a request for ICE servers, from its URL, its form or its JSON object.
type params struct {
	values   url.Values
	username string
	ttl      time.Duration
}

func (p params) get(name string) string { return p.values.Get(name) }

func readParams(w http.ResponseWriter, r *http.Request) (params, *failure) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil { // of the URL and of the form
		return params{}, failBody
	}
	p := params{values: r.Form}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Method == http.MethodPost && media == "application/json" {
		if !p.addJSON(r) {
			return params{}, failBody
		}
	}
	for theirs, ours := range aliases {
		if p.values.Has(theirs) && !p.values.Has(ours) {
			p.values.Set(ours, p.get(theirs))
		}
	}
	if s := p.get("service"); s != "turn" && p.values.Has("service") {
		return params{}, failService
	}
	if p.username = p.get("username"); p.username != "" && !signal.ValidName(p.username) {
		return params{}, failUsername
	}
	if p.values.Has("ttl") {
		seconds, err := strconv.ParseInt(p.get("ttl"), 10, 64)
		if err != nil || seconds < 1 {
			return params{}, failTTL
		}
		p.ttl = time.Duration(min(seconds, maxTTL)) * time.Second
	}
	return p, nil
}

// aliases maps Twilio's Ttl and Cloudflare's customIdentifier to the common names of these parameters.
var aliases = map[string]string{"Ttl": "ttl", "customIdentifier": "username"}

// maxTTL, in seconds, only prevents an overflow. The provider limits the lifetime of credentials.
const maxTTL = 1 << 31

// addJSON adds the members of a JSON object that are strings or numbers. A request may have no body at all.
func (p *params) addJSON(r *http.Request) bool {
	if r.ContentLength == 0 {
		return true
	}
	var object map[string]any
	d := json.NewDecoder(r.Body)
	d.UseNumber()
	if err := d.Decode(&object); err != nil {
		return false
	}
	for name, v := range object {
		switch v := v.(type) {
		case string:
			p.values.Set(name, v)
		case json.Number:
			p.values.Set(name, v.String())
		}
	}
	return true
}
