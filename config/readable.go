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

// Unreadable adds to a permission error about a file what is in the way: the file or
// directory, whose it is, who this process is, and what mends it. It returns
// other errors as they are.
func Unreadable(name string, err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	path, info := obstacle(name, os.Lstat, os.Readlink)
	if info == nil {
		return err
	}
	return fmt.Errorf("%w: %s", err, explain(name, path, info, me()))
}

// linksFollowed bounds how many symbolic links a name may lead through.
const linksFollowed = 40

// obstacle is what keeps this process from reading the file called name: the
// first directory on the way that can't be searched, or the file itself. The names of
// symbolic links are followed one by one, since what they point to is not known
// behind such a directory.
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
			return "", nil // it has changed meanwhile
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

// account is who a process is.
type account struct{ user, group string }

func me() account {
	return account{userName(strconv.Itoa(os.Geteuid())), groupName(strconv.Itoa(os.Getegid()))}
}

// explain says what is in the way of who and how to let them in.
func explain(name, path string, info fs.FileInfo, who account) string {
	owner := "somebody else's"
	if uid, gid, ok := owners(info); ok {
		owner = userName(uid) + ":" + groupName(gid)
	}
	text := fmt.Sprintf("%s is %s with mode %04o, and this is the user %s", path, owner, info.Mode().Perm(), who.user)
	if !info.IsDir() {
		return fmt.Sprintf("%s: chgrp %s %s && chmod 640 %s", text, who.group, path, path)
	}
	if strings.HasPrefix(name, "/etc/letsencrypt/") {
		return text + ": have certbot's deploy hook copy the certificate and the key to a directory that icebox may read"
	}
	return fmt.Sprintf("%s: chgrp %s %s && chmod g+x %s", text, who.group, path, path)
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
