//go:build !linux

package main

// domain returns "", because it is only known on Linux.
func domain() string { return "" }
