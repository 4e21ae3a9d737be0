package statedir

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

const printSecret = "STATEDIR_TEST_PRINT_SECRET_OF"

// TestMain lets a test start this binary as another process, which prints a secret of a state directory.
func TestMain(m *testing.M) {
	if path := os.Getenv(printSecret); path != "" {
		d, err := Open(path, slog.New(slog.DiscardHandler))
		if err != nil {
			panic(err)
		}
		secret, err := d.Secret("mint")
		if err != nil {
			panic(err)
		}
		if _, err := os.Stdout.Write(secret); err != nil {
			panic(err)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func open(t *testing.T, path string) (*Dir, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	d, err := Open(path, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return d, &log
}

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestSecretIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b")
	d, log := open(t, path)
	first, err := d.Secret("mint")
	if err != nil || len(first) != 2*secretBytes {
		t.Fatalf("%d bytes, %v", len(first), err)
	}
	if mode(t, path) != 0o700 || mode(t, d.Path("mint")) != 0o600 {
		t.Errorf("modes %v and %v, want 0700 and 0600", mode(t, path), mode(t, d.Path("mint")))
	}
	again, _ := open(t, path)
	if second, err := again.Secret("mint"); err != nil || !bytes.Equal(first, second) {
		t.Errorf("another secret after a restart, %v", err)
	}
	if read, err := again.ReadSecret("mint"); err != nil || !bytes.Equal(first, read) {
		t.Errorf("ReadSecret: another secret, %v", err)
	}
	if other, err := again.Secret("other"); err != nil || bytes.Equal(first, other) {
		t.Errorf("one secret for two names, %v", err)
	}
	if strings.Contains(log.String(), string(first[:8])) {
		t.Errorf("the log has the secret: %s", log)
	}
}

func TestRacingProcessesAgree(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	secrets := make([]string, 8)
	var wg sync.WaitGroup
	for i := range secrets {
		wg.Go(func() {
			child := exec.Command(os.Args[0])
			child.Env = append(os.Environ(), printSecret+"="+path)
			out, err := child.Output()
			if err != nil {
				t.Error(err)
			}
			secrets[i] = string(out)
		})
	}
	wg.Wait()
	for _, s := range secrets {
		if s != secrets[0] || s == "" {
			t.Fatalf("the processes have different secrets: %q", secrets)
		}
	}
	left, err := os.ReadDir(path)
	if err != nil || len(left) != 2 {
		t.Errorf("%v, %v, want the lock and the secret alone", left, err)
	}
}

func TestDamagedSecretIsRefused(t *testing.T) {
	d, _ := open(t, t.TempDir())
	if err := os.WriteFile(d.Path("mint"), []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := "read state: " + d.Path("mint") + " is damaged: restore it, or remove it to have a new one generated"
	if _, err := d.Secret("mint"); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if data, _ := os.ReadFile(d.Path("mint")); string(data) != "short\n" {
		t.Errorf("the file was changed to %q", data)
	}
}

func TestModeOfOpenFileIsCorrected(t *testing.T) {
	d, log := open(t, t.TempDir())
	if _, err := d.Secret("mint"); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(d.Path("mint"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Secret("mint"); err != nil {
		t.Fatal(err)
	}
	if mode(t, d.Path("mint")) != 0o600 || !strings.Contains(log.String(), "state file was open to other users") {
		t.Errorf("mode %v, log %s", mode(t, d.Path("mint")), log)
	}
}

func TestReadCreatesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	if _, err := OpenExisting(path, slog.New(slog.DiscardHandler)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want not exist", err)
	}
	d, _ := open(t, path)
	if _, err := d.ReadSecret("mint"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want not exist", err)
	}
	if left, err := os.ReadDir(path); err != nil || len(left) != 0 {
		t.Errorf("%v, %v, want nothing", left, err)
	}
}

func TestReplace(t *testing.T) {
	d, _ := open(t, t.TempDir())
	made := 0
	generate := func() ([]byte, error) { made++; return []byte{byte('0' + made)}, nil }
	always := func([]byte) (bool, error) { return true, nil }
	never := func([]byte) (bool, error) { return false, nil }
	for i, step := range []struct {
		keep func([]byte) (bool, error)
		want string
	}{{always, "1"}, {always, "1"}, {never, "2"}, {always, "2"}} {
		if got, err := d.Obtain("x", step.keep, generate); err != nil || string(got) != step.want {
			t.Errorf("step %d: got %q, %v, want %q", i, got, err, step.want)
		}
	}
	broken := errors.New("no entropy")
	if _, err := d.Obtain("y", always, func() ([]byte, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
}

func TestUnusableDirectories(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	loose := filepath.Join(dir, "loose")
	if err := os.Mkdir(loose, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(loose, 0o777); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		file:  "make state directory: mkdir " + file + ": not a directory",
		loose: "open state directory: every user may write to " + loose + ": chmod 700 it",
	} {
		if _, err := Open(path, slog.New(slog.DiscardHandler)); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestOwner: as root, new files belong to the directory's owner. Other users cannot change the owner, so their files are their own.
func TestOwner(t *testing.T) {
	path := t.TempDir()
	owner := os.Geteuid()
	if owner == 0 {
		owner = 65534
		if err := os.Chown(path, owner, owner); err != nil {
			t.Fatal(err)
		}
	}
	d, _ := open(t, path)
	if _, err := d.Secret("mint"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"mint", lockName} {
		info, err := os.Stat(d.Path(name))
		if err != nil {
			t.Fatal(err)
		}
		if got := int(info.Sys().(*syscall.Stat_t).Uid); got != owner {
			t.Errorf("%s belongs to %d, want %d", name, got, owner)
		}
	}
}
