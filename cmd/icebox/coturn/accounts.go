package coturn

import (
	"encoding/hex"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// realm translates the realm. Stored keys are valid only in their realm.
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
		t.reportLost(l, "a realm has 1 to 127 printable bytes: icebox uses its default realm, in which users with a 0x key cannot authenticate")
	}
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

func (t *translation) usesSecret() bool {
	return t.on("use-auth-secret") || len(t.all("static-auth-secret")) > 0
}

// users translates static users. The last line for a name counts.
func (t *translation) users() {
	lines := t.all("user")
	if t.usesSecret() {
		for _, l := range lines {
			t.reportLost(l, "coturn ignores static users if there is a shared secret, so this user could not authenticate: add it to turn.users if it should")
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
		t.reportLost(l, "want NAME:PASSWORD or NAME:0xKEY")
		return "", nil, false
	case len(name) > 508 || !printable(name) || !printable(password):
		t.reportLost(l, "a name has 1 to 508 bytes, and name and password have only printable characters")
		return "", nil, false
	}
	digits, isKey := strings.CutPrefix(password, "0x")
	if !isKey {
		return name, record{{"name", name}, {"password", password}}, true
	}
	if key, err := hex.DecodeString(digits); err != nil || len(key) != 16 {
		t.reportLost(l, "want 32 hexadecimal digits after 0x, the MD5 of name:realm:password: give the user a new password")
		return "", nil, false
	}
	if !t.has("realm") {
		t.warn(l, "the key is valid in one realm only, and the file has no realm: if the clients' realm is not turn.realm, the user needs a new password")
	}
	return name, record{{"name", name}, {"key", strings.ToLower(digits)}}, true
}

// minSecret is the length in bytes from which on icebox accepts a secret without allow_short.
const minSecret = 16

// secrets translates shared secrets.
func (t *translation) secrets() {
	var values []string
	var records []record
	for _, l := range t.all("static-auth-secret") {
		switch {
		case l.value == "" || !printable(l.value):
			t.reportLost(l, "want a secret of printable characters")
		case slices.Contains(values, l.value):
		default:
			r := record{{"secret", l.value}}
			if len(l.value) < minSecret {
				r = append(r, pair{"allow_short", true})
				t.warn(l, "the secret is too short and can be guessed: change it in icebox and in the programs that mint credentials")
			}
			values, records = append(values, l.value), append(records, r)
		}
	}
	if len(records) > 0 {
		t.doc.set("credentials.secrets", records, "")
	} else if l, ok := t.last("use-auth-secret"); ok && !l.off() {
		t.reportLost(l, "the file has no static-auth-secret: %s", noDatabase)
	}
	if sep, ok := t.last("rest-api-separator"); ok && sep.value == ":" {
		t.handled[sep.number] = true // it needs no note
	}
	if t.usesSecret() {
		t.result.Warnings = append(t.result.Warnings, Note{Text: "icebox refuses credentials that expire more than 7 days from now: raise credentials.max_future if yours live longer"})
	}
}
