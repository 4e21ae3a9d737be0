//go:build !unix

package config

import "io/fs"

// owners are not known here.
func owners(fs.FileInfo) (uid, gid string, ok bool) { return "", "", false }
