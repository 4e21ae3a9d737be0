package wire

import (
	"bytes"
	"encoding/json"
	"strconv"

	"icebox/signal/rawjson"
)

// The longest ref and kind, in bytes.
const (
	maxRef  = 64
	maxKind = 32
)

// Request is a message from a client. The specification in package native lists the members of each type.
type Request struct {
	Type string          `json:"type"`
	Ref  json.RawMessage `json:"ref,omitempty"` // a JSON string or number of at most 64 bytes
	Seq  uint64          `json:"seq,omitempty"` // 0 if the message is not numbered
	Ack  uint64          `json:"ack,omitempty"`

	// Members of a hello.
	V       int    `json:"v,omitempty"`
	Name    string `json:"name,omitempty"`
	Token   string `json:"token,omitempty"` // also of a renew
	Resume  string `json:"resume,omitempty"`
	Replace string `json:"replace,omitempty"`

	To    string          `json:"to,omitempty"`
	ToID  string          `json:"toId,omitempty"`
	Call  string          `json:"call,omitempty"`
	Kind  string          `json:"kind,omitempty"`
	Data  json.RawMessage `json:"data,omitempty"`
	Names []string        `json:"names,omitempty"`
	Max   int             `json:"max,omitempty"`

	Restore string `json:"restore,omitempty"` // only of a join
}

// Decode reads a request. Its Ref and Data alias the text. ok is true if the text is a JSON object and every member that
// Request has is of the right type; other members are ignored. If ok is false, r still has the members that are valid, so
// that the error message can have the ref.
func Decode(text []byte) (r Request, ok bool) {
	valid := true
	ok = rawjson.Members(text, func(name, value []byte) {
		valid = r.set(name, value) && valid
	})
	return r, ok && valid
}

var null = []byte("null")

// set reads one member and reports whether it has the right type. If a name occurs twice, the last one counts, as in
// JavaScript. A member that is null counts as missing, except data.
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
	n, err := strconv.ParseUint(string(value), 10, 53) // JavaScript represents integers of up to 53 bits exactly
	*to = n
	return err == nil
}

func setInt(to *int, value []byte) bool {
	n, err := strconv.ParseInt(string(value), 10, 32)
	*to = int(n)
	return err == nil
}

// ValidKind reports whether kind is 1 to 32 ASCII letters, digits and hyphens.
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

// Encode returns the request as JSON text. Ref and Data must be valid JSON or nil; otherwise the result is nil.
func (r Request) Encode() []byte {
	b, _ := json.Marshal(r) // fails only if Ref or Data is not valid JSON
	return b
}
