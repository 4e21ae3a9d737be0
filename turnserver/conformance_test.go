package turnserver

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every test that conformance.md names exists, so every claim in its table has a test.
func TestConformanceTable(t *testing.T) {
	table, err := os.ReadFile("conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, line := range strings.Split(string(table), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		for _, m := range regexp.MustCompile("(?:([a-z]+) )?`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(cells[len(cells)-2], -1) {
			rows++
			if !hasTest(t, m[1], m[2]) {
				t.Errorf("%q: no test %s in package %q", strings.TrimSpace(cells[1]), m[2], m[1])
			}
		}
	}
	if rows < 100 {
		t.Errorf("only %d tests are named", rows)
	}
}

func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "func "+name+"(t ") {
			return true
		}
	}
	return false
}
