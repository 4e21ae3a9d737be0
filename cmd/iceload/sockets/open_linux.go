package sockets

import "fmt"

// Open opens the ways of all clients.
func OpenClients(o ClientsOptions) (Clients, error) {
	switch o.Transport {
	case UDP:
		return openUDPClients(o)
	case TCP, TLS:
		return openStreamClients(o)
	case DTLS:
		return openDTLSClients(o)
	}
	return nil, fmt.Errorf("open a link: unknown transport %q", o.Transport)
}
