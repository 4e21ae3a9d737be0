package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestNoSleep finds tests that sleep instead of waiting for a condition. In a testing/synctest bubble, time.Sleep moves the clock,
// so files that use a bubble may call it.
func TestNoSleep(t *testing.T) {
	const sleep, bubble = "time." + "Sleep(", `"testing/synctest"`
	walkSource(t, func(path, text string) {
		if strings.HasSuffix(path, "_test.go") && strings.Contains(text, sleep) && !strings.Contains(text, bubble) {
			t.Errorf("%s sleeps: wait for the condition, with a deadline, or use testing/synctest", path)
		}
	})
}

// TestReadmeIsShort limits the README to a length that a new user reads in a few minutes. Details belong on the pages
// in deploy.
func TestReadmeIsShort(t *testing.T) {
	const maxLines, maxWords, maxLine = 130, 1300, 120
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if n := len(lines); n > maxLines {
		t.Errorf("README.md has %d lines, want at most %d", n, maxLines)
	}
	if n := len(strings.Fields(string(text))); n > maxWords {
		t.Errorf("README.md has %d words, want at most %d", n, maxWords)
	}
	for i, line := range lines {
		if n := utf8.RuneCountInString(line); n > maxLine {
			t.Errorf("README.md:%d has %d characters, want at most %d", i+1, n, maxLine)
		}
	}
}

// TestPagesNameExistingFiles checks the relative links of the Markdown pages and the paths in CONTRIBUTING.md, which
// otherwise go stale when a file moves.
func TestPagesNameExistingFiles(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	path := regexp.MustCompile("`((?:cmd|turnserver|signal|config|deploy|findings)/[^` ]*)`")
	names := 0
	for _, pattern := range []string{"README.md", "deploy/*.md", ".github/*.md", "turnserver/*.md"} {
		pages, err := filepath.Glob(filepath.Join("../..", pattern))
		if err != nil || len(pages) == 0 {
			t.Fatalf("%s: %d pages, %v", pattern, len(pages), err)
		}
		for _, page := range pages {
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			var targets []string
			for _, m := range link.FindAllSubmatch(text, -1) {
				targets = append(targets, filepath.Join(filepath.Dir(page), string(m[1])))
			}
			if filepath.Base(page) == "CONTRIBUTING.md" {
				for _, m := range path.FindAllSubmatch(text, -1) {
					targets = append(targets, filepath.Join("../..", strings.TrimSuffix(string(m[1]), "/...")))
				}
			}
			for _, target := range targets {
				names++
				if found, err := filepath.Glob(target); err != nil || len(found) == 0 {
					t.Errorf("%s names %s, which does not exist", page, target)
				}
			}
		}
	}
	if names < 50 {
		t.Errorf("only %d names were found", names)
	}
}
