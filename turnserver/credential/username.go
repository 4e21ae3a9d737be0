package credential

import (
	"encoding/base32"
	"strconv"
	"strings"
	"time"
)

// MaxUsername is the greatest length of a username in bytes, because USERNAME is shorter than 509 bytes (RFC 8489
// section 14.3).
const MaxUsername = 508

// maxExpiry is the last second of the year 9999. parseExpiry replaces greater numbers by it, so that no arithmetic on
// an expiry can overflow.
const maxExpiry = 253402300799

// idLength is the number of base32 characters of 64 bits.
const idLength = 13

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// formatOwn returns the username "expiry:user.id".
func formatOwn(expiry int64, user, id string) string {
	b := strconv.AppendInt(make([]byte, 0, 64), expiry, 10)
	b = append(b, ':')
	b = appendEscaped(b, user)
	b = append(b, '.')
	return string(append(b, id...))
}

// parseOwn undoes formatOwn. It accepts any valid percent-encoding, so that credentials stay valid if a later release
// escapes fewer characters.
func parseOwn(username string) (expiry int64, user, id string, ok bool) {
	digits, rest, _ := strings.Cut(username, ":")
	expiry, ok = parseExpiry(digits)
	if !ok {
		return 0, "", "", false
	}
	dot := strings.LastIndexByte(rest, '.')
	if dot < 0 || !validID(rest[dot+1:]) {
		return 0, "", "", false
	}
	user, ok = unescape(rest[:dot])
	if !ok {
		return 0, "", "", false
	}
	return expiry, user, rest[dot+1:], true
}

// parseForeign splits "expiry", "expiry:id" and "id:expiry"; id may be empty.
func parseForeign(username string) (expiry int64, id string, ok bool) {
	head, tail, _ := strings.Cut(username, ":")
	if expiry, ok = parseExpiry(head); ok {
		return expiry, tail, true
	}
	colon := strings.LastIndexByte(username, ':')
	if colon < 0 {
		return 0, "", false
	}
	expiry, ok = parseExpiry(username[colon+1:])
	return expiry, username[:colon], ok
}

// parseExpiry reads a decimal number of seconds, clamped to maxExpiry. ok is
// false unless s is one or more ASCII digits and nothing else.
func parseExpiry(s string) (seconds int64, ok bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		seconds = min(seconds*10+int64(s[i]-'0'), maxExpiry)
	}
	return seconds, s != ""
}

// validID reports whether id is 64 bits in base32, with or without an origin after them.
func validID(id string) bool {
	for i := range len(id) {
		if c := id[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return len(id) == idLength || len(id) == idLength+originLength
}

const hexDigits = "0123456789ABCDEF"

func appendEscaped(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; plain(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return b
}

// plain reports whether c is not escaped in an own username.
func plain(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return c == '-' || c == '_' || c == '~' || c == '@'
}

func unescape(s string) (string, bool) {
	if strings.IndexByte(s, '%') < 0 {
		return s, true
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", false
		}
		b = append(b, byte(n))
		i += 2
	}
	return string(b), true
}

func unixTime(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }
