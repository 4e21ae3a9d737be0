package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// Unreadable explains a permission error about a file. It adds the file or directory that denies access, the owner and
// mode of that, the user of this process, and the command that fixes the problem. It returns any other error unchanged.
func Unreadable(name string, err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	path, info := obstacle(name, os.Lstat, os.Readlink)
	if info == nil {
		return err
	}
	return fmt.Errorf("%w: %s", err, explain(name, path, info, currentAccount()))
}

// linksFollowed is the greatest number of symbolic links that obstacle follows for one name.
const linksFollowed = 40

// obstacle returns the path that keeps this process from reading the file called
// name: the first directory on the way that it can't search, or the file itself.
// It follows symbolic links one by one, because the system does not resolve a link
// inside a directory that the process can't search.
func obstacle(name string, lstat func(string) (fs.FileInfo, error), readlink func(string) (string, error)) (string, fs.FileInfo) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return "", nil
	}
	here := "/"
	rest := strings.Split(strings.Trim(abs, "/"), "/")
	links := 0
	for len(rest) > 0 {
		next := filepath.Join(here, rest[0])
		info, err := lstat(next)
		if errors.Is(err, fs.ErrPermission) {
			dir, err := lstat(here)
			if err != nil {
				return "", nil
			}
			return here, dir
		}
		if err != nil {
			return "", nil // the file has changed since the error
		}
		rest = rest[1:]
		if info.Mode()&fs.ModeSymlink == 0 {
			here = next
			continue
		}
		target, err := readlink(next)
		if links++; err != nil || links > linksFollowed {
			return "", nil
		}
		if filepath.IsAbs(target) {
			here = "/"
		}
		rest = append(strings.Split(strings.Trim(target, "/"), "/"), rest...)
	}
	info, err := lstat(here)
	if err != nil {
		return "", nil
	}
	return here, info
}

// account has the names of the user and the group of a process.
type account struct{ user, group string }

func currentAccount() account {
	return account{userName(strconv.Itoa(os.Geteuid())), groupName(strconv.Itoa(os.Getegid()))}
}

// explain describes why self can't read the file called name, and the fix. path is the
// obstacle and info describes it.
func explain(name, path string, info fs.FileInfo, self account) string {
	owner := "an unknown user"
	if uid, gid, ok := owners(info); ok {
		owner = userName(uid) + ":" + groupName(gid)
	}
	text := fmt.Sprintf("%s belongs to %s and has mode %04o, and this process runs as %s", path, owner, info.Mode().Perm(), self.user)
	if !info.IsDir() {
		return fmt.Sprintf("%s: chgrp %s %s && chmod 640 %s", text, self.group, path, path)
	}
	if strings.HasPrefix(name, "/etc/letsencrypt/") {
		return text + ": let certbot's deploy hook copy the certificate and the key to a directory that icebox can read"
	}
	return fmt.Sprintf("%s: chgrp %s %s && chmod g+x %s", text, self.group, path, path)
}

func userName(id string) string {
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

func groupName(id string) string {
	if g, err := user.LookupGroupId(id); err == nil {
		return g.Name
	}
	return id
}
