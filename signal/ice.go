package signal

import (
	"context"
	"net/netip"
	"time"
)

// ICERequest describes the client that ICE servers are for.
type ICERequest struct {
	// User is the key under which quotas count the credential. It may contain any character.
	User string
	// Host is the host name or address in the client's request, without port. It may be empty.
	Host string
	Addr netip.Addr
	// TTL is the longest lifetime that the client asks for. If it is 0, the provider chooses the lifetime. The provider
	// applies its own maximum in any case.
	TTL time.Duration
	// Call is the ID of the call that the credential is for, or "".
	Call string
}

// ICEServers are the STUN and TURN servers for a client: URIs as in RFC 7064 and RFC 7065, and a credential for the TURN
// servers that is valid for TTL, until Expires.
type ICEServers struct {
	STUN, TURN         []string
	Username, Password string
	TTL                time.Duration
	Expires            time.Time
}

// ICEProvider mints a credential and returns it with the servers that this daemon serves. It is called for every sign-in and
// every request for ICE servers, within the limits on minting. It must return at once, because the goroutine that calls it
// also reads other clients' connections; a provider that needs data from elsewhere must fetch it in advance.
type ICEProvider func(context.Context, ICERequest) (ICEServers, error)

// RTCIceServer is an element of an RTCConfiguration's iceServers.
type RTCIceServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
}

// RTC returns the servers in the form that browsers expect. It leaves out TURN servers if there is no credential, because
// `new RTCPeerConnection` throws an exception for a TURN server without one.
func (s ICEServers) RTC() []RTCIceServer {
	servers := make([]RTCIceServer, 0, 2)
	if len(s.STUN) > 0 {
		servers = append(servers, RTCIceServer{URLs: s.STUN})
	}
	if len(s.TURN) > 0 && s.Username != "" && s.Password != "" {
		servers = append(servers, RTCIceServer{URLs: s.TURN, Username: s.Username, Credential: s.Password})
	}
	return servers
}
