package native_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentedErrors checks that the table of errors in the package comment has the sentences that the server sends.
func TestDocumentedErrors(t *testing.T) {
	sent := make(map[string]string)
	for _, e := range regexp.MustCompile(`&Error\{"([a-z-]+)", "([^"]*)"\}`).FindAllStringSubmatch(readFile(t, "../../errors.go"), -1) {
		sent[e[1]] = e[2]
	}
	_, section, _ := strings.Cut(readFile(t, "doc.go"), "// # Errors\n")
	section, _, _ = strings.Cut(section, "// # ")
	rows := regexp.MustCompile(`(?m)^//	([a-z-]+) +(.*)$`).FindAllStringSubmatch(section, -1)
	for _, row := range rows {
		if code, sentence := row[1], row[2]; sentence != sent[code] {
			t.Errorf("doc.go: the sentence of %s is %q, want %q", code, sentence, sent[code])
		}
	}
	if len(rows) < 30 {
		t.Errorf("doc.go lists %d errors, want at least 30", len(rows))
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
