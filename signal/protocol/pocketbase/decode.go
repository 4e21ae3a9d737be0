package pocketbase

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"icebox/signal/rawjson"
)

const (
	maxDepth    = 32   // of what a request has in it
	maxIdentity = 255  // bytes
	maxPassword = 72   // bytes: bcrypt ignores what is behind them
	maxTopics   = 32   // of one stream
	maxTopic    = 1024 // bytes of one, options included
)

// fields calls f for the members of a request's body, with values that have no needless space, and so no line breaks. It reports
// whether the body is a JSON object of a sensible depth in UTF-8.
func eachMember(body []byte, f func(name string, value []byte)) bool {
	if !utf8.Valid(body) || tooDeep(body) {
		return false
	}
	return rawjson.Members(body, func(name, value []byte) { f(string(name), value) })
}

// tooDeep reports whether brackets are nested deeper than maxDepth in what may be JSON.
func tooDeep(text []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// credentials is the body of auth-with-password.
type credentials struct{ identity, password string }

func decodeCredentials(body []byte) (s credentials, ok bool) {
	ok = eachMember(body, func(name string, value []byte) {
		switch name {
		case "identity":
			s.identity, _ = rawjson.String(value)
		case "password":
			s.password, _ = rawjson.String(value)
		}
	})
	return s, ok && isPrintable(s.identity, maxIdentity) && s.password != "" && len(s.password) <= maxPassword
}

// plain reports whether a text has 1 to limit bytes, none of them a control character.
func isPrintable(s string, limit int) bool {
	return s != "" && len(s) <= limit && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7F })
}

// descriptions are what of a call its parties write. nil is left as it is.
type descriptions struct{ offer, answer []byte }

// decodeCall reads the body of a request that makes or changes a call.
func decodeCall(body []byte) (d descriptions, ok bool) {
	good := true
	ok = eachMember(body, func(name string, value []byte) {
		var to *[]byte
		switch name {
		case "offer":
			to = &d.offer
		case "answer":
			to = &d.answer
		default:
			return
		}
		if string(value) == "null" {
			*to = nil
			return
		}
		good = good && isDescription(value)
		*to = compact(value)
	})
	return d, ok && good
}

// isDescription reports whether a value is a session description: anything else would throw where it is applied.
func isDescription(value []byte) bool {
	var kind, sdp bool
	ok := rawjson.Members(value, func(name, value []byte) {
		switch string(name) {
		case "type":
			_, kind = rawjson.String(value)
		case "sdp":
			_, sdp = rawjson.String(value)
		}
	})
	return ok && kind && sdp
}

// decodeCandidate reads the body of a request that makes a record in one of the collections of candidates.
func decodeCandidate(body []byte) (call string, data []byte, ok bool) {
	ok = eachMember(body, func(name string, value []byte) {
		switch name {
		case "call_id":
			call, _ = rawjson.String(value)
		case "data":
			data = nil
			if value[0] == '{' {
				data = compact(value)
			}
		}
	})
	return call, data, ok && data != nil
}

// compact copies a value without needless space.
func compact(value []byte) []byte {
	var b bytes.Buffer
	b.Grow(len(value))
	_ = json.Compact(&b, value) // it is valid already
	return slices.Clip(b.Bytes())
}

// decodeSubscriptions reads the body of a request that says what a stream wants to hear of.
func decodeSubscriptions(body []byte) (stream string, topics []topic, ok bool) {
	good := true
	ok = eachMember(body, func(name string, value []byte) {
		switch name {
		case "clientId":
			stream, _ = rawjson.String(value)
		case "subscriptions":
			topics, good = decodeTopics(value)
		}
	})
	return stream, topics, ok && good && stream != ""
}

func decodeTopics(value []byte) (topics []topic, ok bool) {
	if string(value) == "null" {
		return nil, true
	}
	elements, ok := rawjson.Elements(value)
	if !ok || len(elements) > maxTopics {
		return nil, false
	}
	for _, e := range elements {
		text, ok := rawjson.String(e)
		if !ok || !isPrintable(text, maxTopic) {
			return nil, false
		}
		if t := parseTopic(text); !slices.Contains(topics, t) {
			topics = append(topics, t)
		}
	}
	return topics, true
}

// topic is what a stream wants to hear of: the record with an ID, or all of a collection. Its text is echoed in events.
type topic struct{ text, collection, id string }

// parseTopic reads a topic. SDK 0.19 calls all of a collection by its name, later ones add /*, and may put options behind a
// question mark, which change nothing here.
func parseTopic(text string) topic {
	path, _, _ := strings.Cut(text, "?")
	collection, id, _ := strings.Cut(path, "/")
	if id == "*" {
		id = ""
	}
	return topic{text: text, collection: collection, id: id}
}

func (t topic) matches(e event) bool {
	return t.collection == e.collection && (t.id == "" || t.id == e.id)
}
