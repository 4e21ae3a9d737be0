package pocketbase

import "net/http"

// problem is a response that refuses a request. It has the format of PocketBase's errors and, where PocketBase has the same
// error, its wording.
type problem struct {
	status     int // HTTP status
	reason     reason
	message    string
	field      string // member of the request that is at fault; "" if none is
	code       string // error code for the field
	detail     string // message for the field
	retryAfter string // value of the Retry-After header in seconds; "" for no header
}

// The messages of problems about one field.

const (
	wrongCreate = "Failed to create record."
	wrongUpdate = "Failed to update record."
)

var (
	problemBadRequest      = &problem{status: http.StatusBadRequest, reason: badRequest, message: "Failed to read the submitted data."}
	problemTooLarge        = &problem{status: http.StatusRequestEntityTooLarge, reason: tooLarge, message: "The request is too large."}
	problemBadMethod       = &problem{status: http.StatusMethodNotAllowed, reason: badMethod, message: "Method not allowed."}
	problemNotFound        = &problem{status: http.StatusNotFound, reason: notFound, message: "The requested resource wasn't found."}
	problemNoToken         = &problem{status: http.StatusUnauthorized, reason: noToken, message: "The request requires valid record authorization token to be set."}
	problemPassword        = &problem{status: http.StatusBadRequest, reason: wrongPassword, message: "Failed to authenticate."}
	problemTooManyAttempts = &problem{status: http.StatusTooManyRequests, reason: tooManyAttempts, message: "Too many attempts to sign in: try again later."}
	problemChecksBusy      = &problem{status: http.StatusServiceUnavailable, reason: checksBusy, message: "Too many sign-ins are under way: try again later.", retryAfter: "5"}
	problemAccessDenied    = &problem{status: http.StatusForbidden, reason: accessDenied, message: "Sign-in is not allowed from a page of this origin or with this password."}
	problemTooFast         = &problem{status: http.StatusTooManyRequests, reason: tooFast, message: "Too many requests: try again later."}
	problemNotAllowed      = &problem{status: http.StatusForbidden, reason: notAllowed, message: "You are not allowed to perform this request."}
	problemRestarting      = &problem{status: http.StatusServiceUnavailable, reason: restarting, message: "The server is about to restart.", retryAfter: "2"}
	problemTooManyStreams  = &problem{status: http.StatusTooManyRequests, reason: tooManyStreams, message: "Too many connections: try again later.", retryAfter: "10"}
	problemNoStream        = &problem{status: http.StatusNotFound, reason: noStream, message: "Missing or invalid client id."}
	problemOtherUser       = &problem{status: http.StatusForbidden, reason: otherUser, message: "The current and the previous request authorization don't match."}

	problemTooManyCalls = &problem{status: http.StatusBadRequest, reason: tooManyCalls, message: wrongCreate,
		field: "user_id", code: "validation_too_many", detail: "Too many calls: end one, or try again later."}
	problemStoreFull  = &problem{status: http.StatusServiceUnavailable, reason: storeFull, message: "The server's storage for calls is full: try again later.", retryAfter: "30"}
	problemNoSuchCall = &problem{status: http.StatusBadRequest, reason: notFound, message: wrongCreate,
		field: "call_id", code: "validation_missing_rel_records", detail: "Failed to find all relation records with the provided ids."}
	problemTooManyCandidates = &problem{status: http.StatusBadRequest, reason: callFull, message: wrongCreate,
		field: "data", code: "validation_too_many", detail: "The call has reached its limit of candidates or bytes."}
	problemTooManyBytes = &problem{status: http.StatusBadRequest, reason: callFull, message: wrongUpdate,
		field: "offer", code: "validation_json_size_limit", detail: "The call has reached its limit of bytes."}
	problemAlreadyAnswered = &problem{status: http.StatusBadRequest, reason: notAllowed, message: wrongUpdate,
		field: "answer", code: "validation_not_unique", detail: "Somebody else has answered the call."}
)

// body appends the problem's JSON to b.
func (p *problem) body(b []byte) []byte {
	b = append(b, `{"code":`...)
	b = append(b, byte('0'+p.status/100), byte('0'+p.status/10%10), byte('0'+p.status%10))
	b = append(append(b, `,"message":`...), quote(p.message)...)
	b = append(b, `,"data":{`...)
	if p.field != "" {
		b = append(append(b, quote(p.field)...), `:{"code":`...)
		b = append(append(b, quote(p.code)...), `,"message":`...)
		b = append(append(b, quote(p.detail)...), '}')
	}
	return append(b, "}}"...)
}
