//go:build unix

package config

import (
	"io/fs"
	"strconv"
	"syscall"
)

// owners returns the numbers of a file's user and group.
func owners(info fs.FileInfo) (uid, gid string, ok bool) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", "", false
	}
	return strconv.FormatUint(uint64(s.Uid), 10), strconv.FormatUint(uint64(s.Gid), 10), true
}
