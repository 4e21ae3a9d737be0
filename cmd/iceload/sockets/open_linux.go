package sockets

import "fmt"

// OpenClients opens the sockets or connections of all clients.
func OpenClients(o ClientsOptions) (Clients, error) {
	switch o.Transport {
	case UDP:
		return openUDPClients(o)
	case TCP, TLS:
		return openStreamClients(o)
	case DTLS:
		return openDTLSClients(o)
	}
	return nil, fmt.Errorf("open clients: unknown transport %q", o.Transport)
}
