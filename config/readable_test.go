package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// certbot's tree has links from live into archive, and only root may enter either.
func TestObstacle(t *testing.T) {
	root := t.TempDir()
	live, archive := filepath.Join(root, "live", "a.example"), filepath.Join(root, "archive", "a.example")
	for _, dir := range []string{live, archive} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	key, link := filepath.Join(archive, "privkey1.pem"), filepath.Join(live, "privkey.pem")
	if err := os.WriteFile(key, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../archive/a.example/privkey1.pem", link); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ closed, want string }{
		"directory of the name": {filepath.Join(root, "live"), filepath.Join(root, "live")},
		"directory of the file": {filepath.Join(root, "archive"), filepath.Join(root, "archive")},
		"file":                  {"none", key},
	} {
		t.Run(name, func(t *testing.T) {
			lstat := func(path string) (fs.FileInfo, error) { // as for a user that may not enter the closed directory
				if strings.HasPrefix(path, test.closed+"/") {
					return nil, &fs.PathError{Op: "lstat", Path: path, Err: fs.ErrPermission}
				}
				return os.Lstat(path)
			}
			got, info := obstacle(link, lstat, os.Readlink)
			if got != test.want || info == nil {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
	loop := filepath.Join(root, "loop")
	if err := os.Symlink("loop", loop); err != nil {
		t.Fatal(err)
	}
	if got, info := obstacle(loop, os.Lstat, os.Readlink); info != nil {
		t.Errorf("a loop of links ends at %s", got)
	}
}

func TestExplain(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "key.pem")
	if err := os.WriteFile(key, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	self := account{"icebox", "icebox"}
	for _, test := range []struct{ name, path, want string }{
		{key, key, fmt.Sprintf("and has mode 0600, and this process runs as icebox: chgrp icebox %s && chmod 640 %[1]s", key)},
		{key, dir, fmt.Sprintf("and has mode 0755, and this process runs as icebox: chgrp icebox %s && chmod g+x %[1]s", dir)},
		{"/etc/letsencrypt/live/a/privkey.pem", dir, "let certbot's deploy hook copy"},
	} {
		info, err := os.Stat(test.path)
		if err != nil {
			t.Fatal(err)
		}
		if got := explain(test.name, test.path, info, self); !strings.Contains(got, test.want) || !strings.HasPrefix(got, test.path+" belongs to ") {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
	if err := Unreadable(key, errors.New("other")); err.Error() != "other" || Unreadable(key, nil) != nil {
		t.Error("changed an error that is not about permissions")
	}
	if err := Unreadable(key, fs.ErrPermission); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "mode 0600") {
		t.Errorf("got %v", err)
	}
}
