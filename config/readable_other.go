//go:build !unix

package config

import "io/fs"

// owners reports that this system has no numeric owners.
func owners(fs.FileInfo) (uid, gid string, ok bool) { return "", "", false }
