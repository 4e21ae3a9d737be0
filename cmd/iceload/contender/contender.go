// Package contender starts the servers that a comparison is between, each as an operator
// would who wants a fast one on one address: the same ports, account and certificate,
// limits out of the way, logs to a file, everything else by default. Relays are compared to
// coturn, signalling to a server of the classic protocol on Node and ws, which is part of
// this package.
//
// A contender is named by NAME=PATH:ARGS, of which NAME= and :ARGS may be left out; ARGS
// are split at blanks and handed to the program after our own. Both programs are
// configured by a file, so that an option that another version does not know does no harm
// to coturn.
package contender

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
)

// Kind is which program a contender is.
type Kind string

// The kinds.
const (
	Icebox Kind = "icebox"
	Coturn Kind = "coturn"
	Node   Kind = "node" // signalling only: nodeserver.cjs of this package
)

// Contender is a program to be started.
type Contender struct {
	Kind Kind
	Name string
	Path string
	Args []string
	// Protocol is what clients speak with it, if it is started for signalling.
	Protocol string
}

// Parse reads NAME=PATH:ARGS. The name is the kind's if it is left out. A path without a slash is looked up as a shell
// would; others are from the present directory, wherever the program is then started.
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

// Options say how contenders are started.
type Options struct {
	// Address is what they listen on and relay from: a loopback address.
	Address netip.Addr
	// Peers is where peers may be.
	Peers netip.Prefix
	// Dir is an empty directory for their files.
	Dir string
	// Env is their environment.
	Env []string
}

// The account that all contenders know.
const (
	Realm    = "iceload"
	User     = "iceload"
	Password = "iceload-against-itself"
)
