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
	maxDepth    = 32   // nested arrays and objects in a request's body
	maxIdentity = 255  // bytes
	maxPassword = 72   // bytes; bcrypt does not use more
	maxTopics   = 32   // per stream
	maxTopic    = 1024 // bytes of one topic, options included
)

// eachMember calls f for each member of a request's body. It reports whether the body is a JSON object, is UTF-8, and is
// nested no deeper than maxDepth.
func eachMember(body []byte, f func(name string, value []byte)) bool {
	if !utf8.Valid(body) || tooDeep(body) {
		return false
	}
	return rawjson.Members(body, func(name, value []byte) { f(string(name), value) })
}

// tooDeep reports whether a text, which need not be valid JSON, nests brackets deeper than maxDepth.
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

// isPrintable reports whether a string is 1 to limit bytes of UTF-8 without control characters.
func isPrintable(s string, limit int) bool {
	return s != "" && len(s) <= limit && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7F })
}

// descriptions are the session descriptions in a request that creates or updates a call. Those that are nil stay unchanged.
type descriptions struct{ offer, answer []byte }

// decodeCall decodes the body of a request that creates or updates a call.
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

// isDescription reports whether a value has the form of a session description. Any other value would throw in the browser
// that applies it.
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

// decodeCandidate decodes the body of a request that creates a candidate. data is a JSON object.
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

// compact returns a copy of a JSON value without insignificant whitespace. It therefore has no line breaks, which would end
// an SSE data line.
func compact(value []byte) []byte {
	var b bytes.Buffer
	b.Grow(len(value))
	_ = json.Compact(&b, value) // cannot fail, because the value is valid JSON
	return slices.Clip(b.Bytes())
}

// decodeSubscriptions decodes the body of a request that replaces the topics of a stream.
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

// topic selects events: those of the record with the given ID or, if id is "", those of all records in the collection.
// Events are named after the topic's text.
type topic struct{ text, collection, id string }

// parseTopic parses a topic. For all records of a collection, SDK 0.19 writes the collection's name alone, and later
// versions add /*. They may also append options after a question mark, which are ignored.
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
