package wire

import (
	"bytes"
	"encoding/json"
	"strconv"

	"icebox/signal/rawjson"
)

const (
	maxRef  = 64
	maxKind = 32
)

// Request is a message from a client.
type Request struct {
	Type string          `json:"type"`
	Ref  json.RawMessage `json:"ref,omitempty"` // a string or a number
	Seq  uint64          `json:"seq,omitempty"` // 0: not numbered
	Ack  uint64          `json:"ack,omitempty"`

	// Of a hello.
	V       int    `json:"v,omitempty"`
	Name    string `json:"name,omitempty"`
	Token   string `json:"token,omitempty"` // of a renew too
	Resume  string `json:"resume,omitempty"`
	Replace string `json:"replace,omitempty"`

	To    string          `json:"to,omitempty"`
	ToID  string          `json:"toId,omitempty"`
	Call  string          `json:"call,omitempty"`
	Kind  string          `json:"kind,omitempty"`
	Data  json.RawMessage `json:"data,omitempty"`
	Names []string        `json:"names,omitempty"`
	Max   int             `json:"max,omitempty"`

	Restore string `json:"restore,omitempty"` // of a join
}

// Decode reads a request, whose Ref and Data alias the text. It reports whether the text is a JSON object and each
// member known here is of its type. What it read before the mistake is returned beside it, for the refusal
// to have the ref in it.
func Decode(text []byte) (r Request, ok bool) {
	good := true
	ok = rawjson.Members(text, func(name, value []byte) {
		good = r.set(name, value) && good
	})
	return r, ok && good
}

var null = []byte("null")

// set reads one member. As in browsers, the last of several counts, and null is what isn't there.
func (r *Request) set(name, value []byte) (ok bool) {
	if bytes.Equal(value, null) && string(name) != "data" {
		return true
	}
	switch string(name) {
	case "type":
		return setString(&r.Type, value)
	case "ref":
		r.Ref = nil
		if len(value) > maxRef || value[0] != '"' && value[0] != '-' && (value[0] < '0' || value[0] > '9') {
			return false
		}
		r.Ref = value
	case "seq":
		return setNumber(&r.Seq, value)
	case "ack":
		return setNumber(&r.Ack, value)
	case "v":
		return setInt(&r.V, value)
	case "max":
		return setInt(&r.Max, value)
	case "name":
		return setString(&r.Name, value)
	case "token":
		return setString(&r.Token, value)
	case "resume":
		return setString(&r.Resume, value)
	case "replace":
		return setString(&r.Replace, value)
	case "restore":
		return setString(&r.Restore, value)
	case "to":
		return setString(&r.To, value)
	case "toId":
		return setString(&r.ToID, value)
	case "call":
		return setString(&r.Call, value)
	case "kind":
		return setString(&r.Kind, value)
	case "data":
		r.Data = value
	case "names":
		r.Names = nil
		return json.Unmarshal(value, &r.Names) == nil
	}
	return true
}

func setString(to *string, value []byte) (ok bool) {
	*to, ok = rawjson.String(value)
	return ok
}

func setNumber(to *uint64, value []byte) bool {
	n, err := strconv.ParseUint(string(value), 10, 53) // what JavaScript counts without mistakes
	*to = n
	return err == nil
}

func setInt(to *int, value []byte) bool {
	n, err := strconv.ParseInt(string(value), 10, 32)
	*to = int(n)
	return err == nil
}

// ValidKind reports whether a message between clients may be called so.
func ValidKind(kind string) bool {
	if kind == "" || len(kind) > maxKind {
		return false
	}
	for _, c := range []byte(kind) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// Encode returns the request as text.
func (r Request) Encode() []byte {
	b, _ := json.Marshal(r) // Ref and Data are for the caller to make valid JSON
	return b
}
