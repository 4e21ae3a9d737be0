package main

import "golang.org/x/sys/unix"

// domain returns this host's NIS domain name, which is coturn's default realm, or "".
func domain() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return ""
	}
	if d := unix.ByteSliceToString(name.Domainname[:]); d != "(none)" {
		return d
	}
	return ""
}
