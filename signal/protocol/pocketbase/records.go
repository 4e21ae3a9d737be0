package pocketbase

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// The collections.
const (
	users            = "users"
	iceServers       = "ice_servers"
	calls            = "calls"
	offerCandidates  = "offer_candidates"
	answerCandidates = "answer_candidates"
)

// collectionIDs maps each collection to an ID such as PocketBase would generate. Clients do not interpret it.
var collectionIDs = map[string]string{
	users:            "_pb_users_auth_",
	iceServers:       "pbc_ice_servers",
	calls:            "pbc_calls_00000",
	offerCandidates:  "pbc_offer_cands",
	answerCandidates: "pbc_answer_cand",
}

const (
	idLen     = 15
	idLetters = "abcdefghijklmnopqrstuvwxyz0123456789"
)

// newID returns a random ID for a record. It has 77 bits, so it cannot be guessed.
func newID() string {
	var id [idLen]byte
	for n := 0; n < idLen; {
		var random [2 * idLen]byte
		_, _ = rand.Read(random[:]) // documented never to fail
		for _, b := range random {
			if int(b) < 256-256%len(idLetters) && n < idLen {
				id[n] = idLetters[int(b)%len(idLetters)]
				n++
			}
		}
	}
	return string(id[:])
}

// idFromHash derives the ID of a record from a hash of at least 15 bytes.
func idFromHash(sum []byte) string {
	var id [idLen]byte
	for i := range id {
		id[i] = idLetters[int(sum[i])%len(idLetters)]
	}
	return string(id[:])
}

// validID reports whether a string has the form of a record's ID.
func validID(id string) bool {
	if len(id) != idLen {
		return false
	}
	for _, c := range []byte(id) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// timestamp is the format of times in records, which are in UTC.
const timestamp = "2006-01-02 15:04:05.000Z"

// appendRecord appends a record without its closing brace, so that the caller can add members.
func appendRecord(b []byte, collection, id string, created, updated time.Time) []byte {
	b = append(b, `{"collectionId":"`...)
	b = append(b, collectionIDs[collection]...)
	b = append(b, `","collectionName":"`...)
	b = append(b, collection...)
	b = append(b, `","created":"`...)
	b = created.UTC().AppendFormat(b, timestamp)
	b = append(b, `","id":"`...)
	b = append(b, id...)
	b = append(b, `","updated":"`...)
	b = updated.UTC().AppendFormat(b, timestamp)
	return append(b, '"')
}

// appendMember appends a member to a record. The name must not need escaping. The value is JSON; nil stands for null.
func appendMember(b []byte, name string, value []byte) []byte {
	b = append(b, `,"`...)
	b = append(b, name...)
	b = append(b, `":`...)
	if value == nil {
		return append(b, "null"...)
	}
	return append(b, value...)
}

// quote returns a string as JSON. Unlike json.Marshal, it does not escape <, > and &.
func quote(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // cannot fail for a string
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// iceServersPage returns a page of the list of STUN servers. The list is built for each request, so the ID of a record is
// its position.
func iceServersPage(urls []string, page, perPage int, now time.Time) []byte {
	b := append([]byte(`{"page":`), strconv.Itoa(page)...)
	b = append(append(b, `,"perPage":`...), strconv.Itoa(perPage)...)
	b = append(b, `,"totalItems":-1,"totalPages":-1,"items":[`...)
	from := min((page-1)*perPage, len(urls))
	for i, u := range urls[from:min(from+perPage, len(urls))] {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendRecord(b, iceServers, fmt.Sprintf("stunserver%05d", from+i+1), now, now)
		b = append(appendMember(b, "url", quote(u)), '}')
	}
	return append(b, "]}"...)
}

// userRecord returns the record of a user. The times in it are always now, because users have no stored record.
func userRecord(p person, now time.Time) []byte {
	b := appendRecord(nil, users, p.user, now, now)
	identity := quote(p.identity)
	b = appendMember(b, "username", identity)
	b = appendMember(b, "email", identity)
	b = appendMember(b, "name", []byte(`""`))
	b = appendMember(b, "emailVisibility", []byte("false"))
	return append(appendMember(b, "verified", []byte("true")), '}')
}

// The actions of events.
const (
	create = "create"
	update = "update"
	remove = "delete"
)

// event is a change of a record.
type event struct {
	action     string
	collection string
	id         string // of the record
	record     []byte
}

// appendTo appends the event in SSE format. stream is the stream's ID; topic is the text of the topic that selected the
// event.
func (e event) appendTo(b []byte, stream, topic string) []byte {
	b = append(append(b, "id:"...), stream...)
	b = append(append(b, "\nevent:"...), topic...)
	b = append(append(b, "\ndata:{\"action\":\""...), e.action...)
	b = append(append(b, `","record":`...), e.record...)
	return append(b, "}\n\n"...)
}

// connectEvent returns the first event of a stream. The SDK takes the stream's ID from it.
func connectEvent(stream string) []byte {
	return []byte("id:" + stream + "\nevent:PB_CONNECT\ndata:{\"clientId\":\"" + stream + "\"}\n\n")
}
