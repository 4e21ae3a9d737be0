package coturn

import (
	"encoding/hex"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// realm translates the realm, without which a stored key means nothing.
func (t *translation) realm() {
	realm := t.Domain
	l, named := t.last("realm")
	if named {
		realm = l.value
	}
	switch {
	case realm != "" && len(realm) <= 127 && printable(realm):
		t.doc.set("turn.realm", realm, "")
	case named:
		t.refuse(l, "a realm has 1 to 127 printable bytes: icebox's own is used, and users with a 0x key can't sign in")
	}
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

func (t *translation) usesSecret() bool {
	return t.on("use-auth-secret") || len(t.all("static-auth-secret")) > 0
}

// users translates static accounts. The last one of a name counts.
func (t *translation) users() {
	lines := t.all("user")
	if t.usesSecret() {
		for _, l := range lines {
			t.refuse(l, "coturn ignores static users beside a shared secret, so this one could not sign in: add it to turn.users if it should")
		}
		return
	}
	var names []string
	byName := make(map[string]record)
	for _, l := range lines {
		name, account, ok := t.user(l)
		if !ok {
			continue
		}
		if byName[name] == nil {
			names = append(names, name)
		}
		byName[name] = account
	}
	if len(names) == 0 {
		t.result.Warnings = append(t.result.Warnings, Note{Text: "the file has no users and no shared secret: clients need users in turn.users, " +
			"a secret in credentials.secrets, or credentials from icebox itself (icebox credential NAME)"})
		return
	}
	records := make([]record, len(names))
	for i, name := range names {
		records[i] = byName[name]
	}
	t.doc.set("turn.users", records, "")
}

func (t *translation) user(l line) (name string, account record, ok bool) {
	name, password, found := strings.Cut(l.value, ":")
	password = strings.TrimLeft(password, " \t")
	switch {
	case !found || name == "" || password == "":
		t.refuse(l, "a user is NAME:PASSWORD or NAME:0xKEY")
		return "", nil, false
	case len(name) > 508 || !printable(name) || !printable(password):
		t.refuse(l, "a name has 1 to 508 bytes, and neither it nor the password has characters that can't be printed")
		return "", nil, false
	}
	digits, isKey := strings.CutPrefix(password, "0x")
	if !isKey {
		return name, record{{"name", name}, {"password", password}}, true
	}
	if key, err := hex.DecodeString(digits); err != nil || len(key) != 16 {
		t.refuse(l, "behind 0x there are 32 hexadecimal digits, the MD5 of name:realm:password: give the user a new password")
		return "", nil, false
	}
	if !t.has("realm") {
		t.warn(l, "the key is for one realm, and the file has none: if coturn's clients see another one than turn.realm, the user needs a new password")
	}
	return name, record{{"name", name}, {"key", strings.ToLower(digits)}}, true
}

// minSecret is from where on icebox takes a secret without allow_short.
const minSecret = 16

// secrets translates shared secrets.
func (t *translation) secrets() {
	var values []string
	var records []record
	for _, l := range t.all("static-auth-secret") {
		switch {
		case l.value == "" || !printable(l.value):
			t.refuse(l, "a secret is text that can be printed")
		case slices.Contains(values, l.value):
		default:
			r := record{{"secret", l.value}}
			if len(l.value) < minSecret {
				r = append(r, pair{"allow_short", true})
				t.warn(l, "the secret is so short that it can be guessed: change it, here and where credentials are minted")
			}
			values, records = append(values, l.value), append(records, r)
		}
	}
	if len(records) > 0 {
		t.doc.set("credentials.secrets", records, "")
	} else if l, ok := t.last("use-auth-secret"); ok && !l.off() {
		t.refuse(l, "the file has no static-auth-secret: %s", noDatabase)
	}
	if sep, ok := t.last("rest-api-separator"); ok && sep.value == ":" {
		t.refused[sep.number] = true // there is nothing to tell
	}
	if t.usesSecret() {
		t.result.Warnings = append(t.result.Warnings, Note{Text: "credentials that expire more than 7 days from now are refused: raise credentials.max_future if yours live longer"})
	}
}
