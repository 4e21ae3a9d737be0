// Package contender starts the servers ("contenders") that a comparison runs. It configures each of them for speed on
// one address, as an operator would. All get the same ports, account and certificate, limits high enough not to matter,
// and logs in a file; every other setting keeps its default. Relays are compared with coturn. Signalling is compared
// with nodeserver.cjs in this package, a server of the classic protocol that uses Node.js and ws.
//
// A contender is written NAME=PATH:ARGS, where NAME= and :ARGS may be left out. ARGS are split at
// spaces and follow our own arguments. Both coturn and icebox read their settings from a file,
// because coturn ignores settings in a file that its version does not know.
package contender

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
)

// Kind is the program that a contender runs.
type Kind string

// The kinds.
const (
	Icebox Kind = "icebox"
	Coturn Kind = "coturn"
	Node   Kind = "node" // signalling only: nodeserver.cjs in this package
)

// Contender is a program that can be started as a server.
type Contender struct {
	Kind Kind
	Name string
	Path string
	Args []string
	// Protocol is the protocol that clients use, if the program is started for signalling.
	Protocol string
}

// Parse reads NAME=PATH:ARGS. The default name is the kind. A path without a slash is looked up in
// PATH, as a shell does. Other paths are relative to the current directory, even if the program is
// started in another one.
func Parse(kind Kind, text string) (Contender, error) {
	c := Contender{Kind: kind, Name: string(kind)}
	if name, rest, ok := strings.Cut(text, "="); ok && !strings.ContainsAny(name, "/:") {
		c.Name, text = name, rest
	}
	path, args, _ := strings.Cut(text, ":")
	c.Path, c.Args = path, strings.Fields(args)
	if c.Name == "" || c.Path == "" {
		return c, fmt.Errorf("%s %q: want NAME=PATH:ARGS", kind, text)
	}
	if !strings.Contains(c.Path, "/") {
		return c, nil
	}
	var err error
	c.Path, err = filepath.Abs(c.Path)
	return c, err
}

// Options configure how a contender is started.
type Options struct {
	// Address is the loopback address that it listens on and relays from.
	Address netip.Addr
	// Peers is the network of the peers.
	Peers netip.Prefix
	// Dir is an empty directory for its files.
	Dir string
	// Env is its environment.
	Env []string
}

// The account that all contenders accept.
const (
	Realm    = "iceload"
	User     = "iceload"
	Password = "iceload-against-itself"
)
