//go:build !linux

package main

// domain is unknown here.
func domain() string { return "" }
