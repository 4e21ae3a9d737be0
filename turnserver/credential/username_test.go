package credential

import (
	"strings"
	"testing"
)

func TestParseForeign(t *testing.T) {
	for name, c := range map[string]struct {
		username string
		expiry   int64
		id       string
		ok       bool
	}{
		"expiry alone":                  {"1700000000", 1700000000, "", true},
		"expiry:id":                     {"1700000000:alice", 1700000000, "alice", true},
		"id:expiry":                     {"alice:1700000000", 1700000000, "alice", true},
		"all of what follows is id":     {"1700000000:a:b", 1700000000, "a:b", true},
		"matrix id":                     {"1700000000:@alice:example.org", 1700000000, "@alice:example.org", true},
		"id of digits":                  {"1700000000:42", 1700000000, "42", true},
		"first digits win":              {"42:1700000000", 42, "1700000000", true},
		"expiry after the last colon":   {"a:5:1700000000", 1700000000, "a:5", true},
		"empty id":                      {"1700000000:", 1700000000, "", true},
		"empty id before":               {":1700000000", 1700000000, "", true},
		"double colon":                  {"::7", 7, ":", true},
		"leading zeros":                 {"0001700000000:x", 1700000000, "x", true},
		"zero":                          {"0", 0, "", true},
		"int64 overflow":                {"9223372036854775808:x", maxExpiry, "x", true},
		"uint64 wraps to a small one":   {"18446744075409551616:x", maxExpiry, "x", true},
		"400 digits":                    {strings.Repeat("9", 400), maxExpiry, "", true},
		"zeros don't reset the clamp":   {"9" + strings.Repeat("0", 30), maxExpiry, "", true},
		"nothing":                       {"", 0, "", false},
		"colon":                         {":", 0, "", false},
		"name":                          {"alice", 0, "", false},
		"two names":                     {"alice:bob", 0, "", false},
		"digits in the middle":          {"alice:1700000000:bob", 0, "", false},
		"sign":                          {"+1700000000:x", 0, "", false},
		"minus":                         {"-1:x", 0, "", false},
		"space":                         {" 1700000000:x", 0, "", false},
		"fraction":                      {"1700000000.5:x", 0, "", false},
		"hexadecimal":                   {"0x10:x", 0, "", false},
		"digits that aren't ASCII":      {"\u0661\u0662:x", 0, "", false},
		"digits, then NUL":              {"1700000000\x00:x", 0, "", false},
		"expiry, then a second of none": {"x:1700000000:", 0, "", false},
	} {
		expiry, id, ok := parseForeign(c.username)
		if ok != c.ok || ok && (expiry != c.expiry || id != c.id) {
			t.Errorf("%s: parseForeign(%q) = %d, %q, %t", name, c.username, expiry, id, ok)
		}
	}
}

func TestOwnForm(t *testing.T) {
	for _, c := range []struct{ user, username string }{
		{"alice", "1700000000:alice.aaaaaaaaaaaab"},
		{"Al.ice@X", "1700000000:Al%2Eice@X.aaaaaaaaaaaab"},
		{"a:b%2E\x00 é", "1700000000:a%3Ab%252E%00%20%C3%A9.aaaaaaaaaaaab"},
		{"", "1700000000:.aaaaaaaaaaaab"},
	} {
		if got := formatOwn(1700000000, c.user, "aaaaaaaaaaaab"); got != c.username {
			t.Errorf("formatOwn(%q) = %q, want %q", c.user, got, c.username)
		}
		expiry, user, id, ok := parseOwn(c.username)
		if !ok || expiry != 1700000000 || user != c.user || id != "aaaaaaaaaaaab" {
			t.Errorf("parseOwn(%q) = %d, %q, %q, %t", c.username, expiry, user, id, ok)
		}
	}
}

func TestNotOwnForm(t *testing.T) {
	for _, username := range []string{
		"", "1700000000", "1700000000:alice", "1700000000:alice.",
		"1700000000:aaaaaaaaaaaab",        // no user
		"1700000000:alice.aaaaaaaaaaaa",   // id too short
		"1700000000:alice.aaaaaaaaaaaaab", // too long
		"1700000000:alice.AAAAAAAAAAAAB",  // upper case
		"1700000000:alice.aaaaaaaaaaa1b",  // 1 is not in the alphabet
		"1700000000:alice.aaaaaaaaaaa\na", // encoding/base32 would skip it
		"1700000000:al%cg.aaaaaaaaaaaab",
		"1700000000:alice%2.aaaaaaaaaaaab",
		"1700000000:alice%.aaaaaaaaaaaab",
		"alice.aaaaaaaaaaaab:1700000000",
		":alice.aaaaaaaaaaaab",
	} {
		if _, user, id, ok := parseOwn(username); ok {
			t.Errorf("parseOwn(%q) = %q, %q", username, user, id)
		}
	}
}

func TestIDIsAllOf64Bits(t *testing.T) {
	for id, b := range map[string][]byte{
		"aaaaaaaaaaaaa": {0, 0, 0, 0, 0, 0, 0, 0},
		"aaaaaaaaaaaac": {0, 0, 0, 0, 0, 0, 0, 1},
		"7777777777776": {255, 255, 255, 255, 255, 255, 255, 255},
	} {
		if got := idEncoding.EncodeToString(b); got != id || !validID(got) {
			t.Errorf("id of %x is %q, want %q", b, got, id)
		}
	}
}

func FuzzUsername(f *testing.F) {
	for _, s := range []string{
		"1700000000", "1700000000:alice", "alice:1700000000", "1700000000:@a:example.org",
		"1700000000:Al%2Eice@X.aaaaaaaaaaaab", "99999999999999999999:x", "::1", "%", "é:1",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		expiry, id, foreign := parseForeign(s)
		if expiry < 0 || expiry > maxExpiry {
			t.Errorf("expiry %d of %q is out of range", expiry, s)
		}
		if foreign && id != "" && !strings.HasSuffix(s, ":"+id) && !strings.HasPrefix(s, id+":") {
			t.Errorf("id %q is neither the end nor the start of %q", id, s)
		}
		if ownExpiry, _, _, own := parseOwn(s); own && (!foreign || ownExpiry != expiry) {
			t.Errorf("%q: own form expires at %d, foreign form (%t) at %d", s, ownExpiry, foreign, expiry)
		}

		username := formatOwn(1700000000, s, "aaaaaaaaaaaab")
		if strings.Count(username, ":") != 1 || strings.Count(username, ".") != 1 {
			t.Errorf("%q: separators are ambiguous", username)
		}
		for i := range len(username) {
			if c := username[i]; c <= ' ' || c >= 0x7f {
				t.Errorf("%q: byte %#x is not printable ASCII", username, c)
			}
		}
		if _, user, _, ok := parseOwn(username); !ok || user != s {
			t.Errorf("user %q came back as %q, %t", s, user, ok)
		}
	})
}
