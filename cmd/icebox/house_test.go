package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoSleep finds tests that wait for time to pass instead of for what they wait for. In a testing/synctest bubble
// time.Sleep is how a test moves the clock, so files that use one may.
func TestNoSleep(t *testing.T) {
	const sleep, bubble = "time." + "Sleep(", `"testing/synctest"`
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules") {
			if err == nil {
				err = filepath.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.Contains(string(text), sleep) && !strings.Contains(string(text), bubble) {
			t.Errorf("%s sleeps: wait for the condition, with a deadline, or use testing/synctest", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
