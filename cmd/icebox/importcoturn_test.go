package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestImportCoturn(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "turnserver.conf"), filepath.Join(dir, "icebox.yaml")
	const text = "realm=example.org\nuse-auth-secret\nstatic-auth-secret=0123456789abcdef\nfingerprint\nmobility\n"
	if err := os.WriteFile(in, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	icebox := func(args ...string) int {
		stdout.Reset()
		stderr.Reset()
		return run(args, nil, &stdout, &stderr)
	}
	if code := icebox("import-coturn", in, "--output", out); code != exitOK {
		t.Fatalf("exit %d: %s", code, &stderr)
	}
	for _, want := range []string{"3 lines were translated", "line 4: fingerprint: ", "without a counterpart:\n  line 5: mobility: ", "wrote " + out} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("the report does not contain %q:\n%s", want, &stderr)
		}
	}
	if info, err := os.Stat(out); err != nil || info.Mode() != 0o600 {
		t.Errorf("the file: %v, %v", info.Mode(), err)
	}
	if code := icebox("check", "--config", out); code != exitOK || !strings.Contains(stdout.String(), "realm: example.org") {
		t.Errorf("exit %d: %s", code, &stderr)
	}

	if code := icebox("import-coturn", in, "-o", out); code != exitFailure || !strings.Contains(stderr.String(), "exists: use --force") {
		t.Errorf("over an existing file: exit %d: %s", code, &stderr)
	}
	if err := os.Chmod(out, 0o640); err != nil {
		t.Fatal(err)
	}
	if code := icebox("import-coturn", in, "-o", out, "--force"); code != exitOK {
		t.Errorf("exit %d: %s", code, &stderr)
	}
	if info, err := os.Stat(out); err != nil || info.Mode() != 0o640 {
		t.Errorf("the replaced file: %v, %v", info.Mode(), err)
	}
	if code := icebox("import-coturn", in, "-o", "-"); code != exitOK || !strings.Contains(stdout.String(), "secret: 0123456789abcdef") {
		t.Errorf("to standard output: exit %d: %s%s", code, &stdout, &stderr)
	}
	if code := icebox("import-coturn", filepath.Join(dir, "none")); code != exitFailure {
		t.Errorf("a file that does not exist: exit %d: %s", code, &stderr)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".icebox-*")); len(left) > 0 {
		t.Errorf("temporary files remain: %v", left)
	}
}
