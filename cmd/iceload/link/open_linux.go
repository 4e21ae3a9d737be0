package link

import "fmt"

// Open opens the ways of all clients.
func Open(o Options) (Link, error) {
	switch o.Transport {
	case UDP:
		return openUDP(o)
	case TCP, TLS:
		return openStreams(o)
	case DTLS:
		return openDTLS(o)
	}
	return nil, fmt.Errorf("open a link: unknown transport %q", o.Transport)
}
