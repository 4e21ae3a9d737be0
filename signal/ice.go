package signal

import (
	"context"
	"net/netip"
	"time"
)

// ICERequest says for whom ICE servers are wanted.
type ICERequest struct {
	// User is whom quotas count by. It may hold any character.
	User string
	// Host is the host name or address by which the client reached us, without port. It may be empty.
	Host string
	Addr netip.Addr
	// TTL is the longest life the client wants its credential to have; 0 leaves it to the provider. A
	// provider never goes beyond its own maximum for it.
	TTL time.Duration
	// Call is the ID of the call that the credential is for, if it is for one.
	Call string
}

// ICEServers is what a provider answers: URIs as in RFC 7064 and RFC 7065, and a credential for the TURN ones.
type ICEServers struct {
	STUN, TURN         []string
	Username, Password string
	TTL                time.Duration
	Expires            time.Time
}

// ICEProvider mints a credential and names the servers that this daemon really serves. It is called for every
// sign-in and every request for ICE servers, within the limits on minting. It returns at once, because who calls it
// reads for other clients too: a provider that has to ask somebody does so ahead of time.
type ICEProvider func(context.Context, ICERequest) (ICEServers, error)

// RTCIceServer is a member of an RTCConfiguration's iceServers.
type RTCIceServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
}

// RTC returns the servers as browsers want them: TURN URIs only beside a credential, since without one
// `new RTCPeerConnection` throws.
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
