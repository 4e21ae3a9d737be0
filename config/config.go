package config

import (
	"net/netip"
	"time"
)

// Config is one valid configuration. Load builds it and nothing changes it
// afterwards, so goroutines may share it.
//
// Each field carries its documentation as tags:
//
//   - yaml names the key.
//   - reload reports whether a reload can change the setting ("yes") or only a
//     restart can ("no"). Every setting has the tag; keys inside a list or
//     inside tls follow their setting.
//   - about describes the key in one short sentence for the tables of
//     deploy/configuration.md.
type Config struct {
	PublicHost  Host         `yaml:"public_host" reload:"no" about:"Host name in the URIs that clients are given. When unset, the name the client connected to."`
	ExternalIP  []ExternalIP `yaml:"external_ip" reload:"no" about:"Address pairs of a 1:1 NAT."`
	StateDir    string       `yaml:"state_dir" reload:"no" about:"Directory for generated secrets and for self-signed or ACME certificates."`
	Log         Log          `yaml:"log"`
	TLS         TLS          `yaml:"tls" reload:"yes" about:"Certificate of every TLS and DTLS listener: off, self-signed, acme, or a record."`
	TURN        TURN         `yaml:"turn"`
	Credentials Credentials  `yaml:"credentials"`
	Signal      Signal       `yaml:"signal"`
	HTTP        HTTP         `yaml:"http"`
	Admin       Admin        `yaml:"admin"`
	Shutdown    Shutdown     `yaml:"shutdown"`

	warnings  []string
	positions map[string]position // of every value
}

// ExternalIP is one address pair of a 1:1 NAT. Private is the zero Addr when
// the host has only one address of that family.
type ExternalIP struct {
	Public  netip.Addr `yaml:"public" about:"Address that the Internet sees."`
	Private netip.Addr `yaml:"private,omitempty" about:"The host's own address. Optional if the host has one address of that family."`
}

// Log configures the log's level and format.
type Log struct {
	Level  LogLevel  `yaml:"level" reload:"yes" about:"debug, info, warn or error."`
	Format LogFormat `yaml:"format" reload:"no" about:"text or json."`
}

// TLS is the certificate of every TLS and DTLS listener. The zero value means
// no certificate. At most one of SelfSigned, the two files and ACME is set.
// File names are absolute or relative to the process's working directory.
type TLS struct {
	SelfSigned  bool   `yaml:"-"`
	Certificate string `yaml:"certificate,omitempty" about:"PEM file with the certificate chain. icebox reads it again when it changes."`
	Key         string `yaml:"key,omitempty" about:"PEM file with the private key. icebox reads it again when it changes."`
	ACME        ACME   `yaml:"acme,omitempty" about:"icebox obtains and renews the certificate itself."`
}

// ACME configures the authority that issues the certificate. An empty
// Directory means that ACME is off.
type ACME struct {
	Names     []Host `yaml:"names,omitempty" about:"Names in the certificate. When unset, public_host and the hosts of turn.listen[].public."`
	Email     string `yaml:"email,omitempty" about:"Contact address for the authority."`
	Directory string `yaml:"directory,omitempty" about:"Directory URL of the authority. When unset, Let's Encrypt."`
	Authority string `yaml:"authority,omitempty" about:"PEM file with the root certificate of a private authority."`
}

// Enabled reports whether there is a certificate.
func (t TLS) Enabled() bool {
	return t.SelfSigned || t.Certificate != "" || t.Key != "" || t.ACME.Enabled()
}

// Enabled reports whether an authority issues the certificate.
func (a ACME) Enabled() bool { return a.Directory != "" }

// TURN configures the relay.
type TURN struct {
	Realm          string        `yaml:"realm" reload:"no" about:"Realm of the long-term credentials."`
	Listen         []TURNListen  `yaml:"listen" reload:"no" about:"STUN and TURN sockets. With tls set and this key unset, :5349 with tls and dtls is added."`
	RelayPorts     PortRange     `yaml:"relay_ports" reload:"no" about:"UDP ports of the relayed addresses. Open them in the firewall."`
	RelayAddresses []netip.Addr  `yaml:"relay_addresses" reload:"no" about:"Local addresses to relay from. When unset, those of interfaces with a default route."`
	Users          []User        `yaml:"users" reload:"yes" about:"Static long-term users."`
	Peers          []PeerRule    `yaml:"peers" reload:"yes" about:"Where clients may send. The most specific rule wins over the built-in table."`
	Limits         TURNLimits    `yaml:"limits"`
	MaxSession     time.Duration `yaml:"max_session" reload:"no" about:"Age at which a session ends, however often the client refreshes it."`
	StrictChannels bool          `yaml:"strict_channels" reload:"yes" about:"Refuse channel numbers above 0x4FFF, which RFC 5766 clients use."`
}

// TURNListen is one port and the transports on it.
type TURNListen struct {
	Address       Endpoint    `yaml:"address" about:":PORT for all addresses of the host, IPv4:PORT or [IPv6]:PORT."`
	Transports    []Transport `yaml:"transports" about:"Any of udp, tcp, tls and dtls; tcp and tls need a port each."`
	Public        HostPort    `yaml:"public,omitempty" about:"HOST:PORT that clients are told, if it differs from public_host and the port of address."`
	ProxyProtocol bool        `yaml:"proxy_protocol,omitempty" about:"Expect the PROXY protocol from http.trusted_proxies on tcp and tls."`
}

// User is a long-term TURN account. Exactly one of Password and Key is set.
// Key is 16 bytes, MD5(name ":" realm ":" password).
type User struct {
	Name     string `yaml:"name" about:"User name, at most 508 bytes."`
	Password Secret `yaml:"password,omitempty" about:"The password, in place."`
	Key      HexKey `yaml:"key,omitempty" about:"MD5 of name:realm:password, 32 hexadecimal digits."`
	File     string `yaml:"file,omitempty" about:"File with the password."`
}

// PeerRule allows or denies relaying to a prefix. Exactly one of Allow and
// Deny is valid. The zero Ports mean every port.
type PeerRule struct {
	Allow Prefix    `yaml:"allow,omitempty" about:"Prefix or address that clients may send to."`
	Deny  Prefix    `yaml:"deny,omitempty" about:"Prefix or address that clients may not send to."`
	Ports PortRange `yaml:"ports,omitempty" about:"Ports that the rule covers. When unset, every port."`
}

// TURNLimits limits the resources that clients may have at the same time. All addresses of an IPv6 /64 count as one.
type TURNLimits struct {
	AllocationsPerUser    int `yaml:"allocations_per_user" reload:"yes" about:"Allocations of one user."`
	AllocationsPerAddress int `yaml:"allocations_per_address" reload:"yes" about:"Allocations of one client address."`
	Allocations           int `yaml:"allocations" reload:"yes" about:"All allocations. 0: as many as there are relay ports."`
	Permissions           int `yaml:"permissions" reload:"yes" about:"Permissions of one allocation."`
	Channels              int `yaml:"channels" reload:"yes" about:"Channels of one allocation."`
	Connections           int `yaml:"connections" reload:"yes" about:"Connections over TCP, TLS and DTLS."`
	ConnectionsPerAddress int `yaml:"connections_per_address" reload:"yes" about:"The same, of one client address."`

	// Payload bytes per second in each direction.
	Bandwidth              Size `yaml:"bandwidth" reload:"yes" about:"Payload per second in each direction. 0: no limit, here and in the next three."`
	BandwidthPerUser       Size `yaml:"bandwidth_per_user" reload:"yes" about:"The same, of one user."`
	BandwidthPerAddress    Size `yaml:"bandwidth_per_address" reload:"yes" about:"The same, of the client's address and of the address its credential was minted for."`
	BandwidthPerAllocation Size `yaml:"bandwidth_per_allocation" reload:"yes" about:"The same, of one allocation."`

	// UDP requests whose source address may be forged.
	Replies          int `yaml:"replies" reload:"yes" about:"Replies per second to UDP requests whose source address is unproven."`
	RepliesPerPrefix int `yaml:"replies_per_prefix" reload:"yes" about:"The same, to one IPv4 /24 or IPv6 /48."`
}

// Credentials configures time-limited credentials.
type Credentials struct {
	Secrets   []SharedSecret `yaml:"secrets" reload:"yes" about:"Secrets shared with programs that mint credentials; several can be valid at once."`
	TTL       time.Duration  `yaml:"ttl" reload:"yes" about:"Lifetime of the credentials that icebox mints."`
	MaxFuture time.Duration  `yaml:"max_future" reload:"yes" about:"Credentials that expire later than this are refused."`
}

// SharedSecret verifies credentials that other programs mint. Load sets Secret, even if the user wrote it in a file.
type SharedSecret struct {
	Secret     Secret `yaml:"secret,omitempty" about:"The secret, in place; at least 16 bytes."`
	File       string `yaml:"file,omitempty" about:"File with the secret."`
	AllowShort bool   `yaml:"allow_short,omitempty" about:"Accept a secret shorter than 16 bytes, because another program dictates it."`
}

// Signal configures who may sign in and how much a client may do.
type Signal struct {
	Access Access       `yaml:"access" reload:"yes" about:"Who may sign in: open (anyone), key or jwt."`
	Keys   []APIKey     `yaml:"keys" reload:"yes" about:"API keys."`
	JWT    JWT          `yaml:"jwt"`
	Calls  Calls        `yaml:"calls"`
	PeerJS PeerJSRules  `yaml:"peerjs"`
	Topics Topics       `yaml:"topics"`
	Limits SignalLimits `yaml:"limits"`

	PocketBase PocketBaseAccess `yaml:"pocketbase"`
}

// PeerJSRules apply to PeerJS clients.
type PeerJSRules struct {
	Discovery bool `yaml:"discovery" reload:"yes" about:"Let clients list the peers that use the same key (listAllPeers)."`
}

// JWT configures the JSON Web Tokens that clients can sign in with.
type JWT struct {
	Issuer     string   `yaml:"issuer" reload:"yes" about:"Required issuer. When unset, any."`
	Audience   string   `yaml:"audience" reload:"yes" about:"Required audience. When unset, any."`
	NameClaim  string   `yaml:"name_claim" reload:"yes" about:"Claim with the name that the client signs in under."`
	CallsClaim string   `yaml:"calls_claim" reload:"yes" about:"Claim that, if present, lists the only calls the bearer may join."`
	JWKS       string   `yaml:"jwks" reload:"yes" about:"URL of a JSON Web Key Set; https, or http on loopback."`
	Keys       []JWTKey `yaml:"keys" reload:"yes" about:"Keys that verify tokens."`
}

// JWTKey verifies tokens. After Load, exactly one of Public and Secret is set. Public names a file of public keys, and
// Data is its content (PEM or a JSON Web Key Set), which the caller parses. Secret is for HS256. Load sets it, even if
// the user wrote it in a file.
type JWTKey struct {
	Public string `yaml:"public,omitempty" about:"File with PEM public keys or a JSON Web Key Set."`
	Secret Secret `yaml:"secret,omitempty" about:"Secret for HS256, in place; at least 32 bytes."`
	File   string `yaml:"file,omitempty" about:"File with the secret for HS256."`
	Data   []byte `yaml:"-"`
}

// PocketBaseAccess configures the users who can sign in with PocketBase's SDK. With Anyone, every client that Access
// admits is a user too.
type PocketBaseAccess struct {
	Users  []PocketBaseUser `yaml:"users" reload:"yes" about:"Users that may sign in with PocketBase's SDK."`
	Anyone bool             `yaml:"anyone" reload:"yes" about:"Also let in everyone whom signal.access admits, under any other identity."`
}

// PocketBaseUser is one user. Load sets Password, even if the user wrote it in a file. Password may be a bcrypt hash.
type PocketBaseUser struct {
	Identity string `yaml:"identity" about:"Name or e-mail address, at most 255 bytes."`
	Password Secret `yaml:"password,omitempty" about:"The password or its bcrypt hash (cost 14 at most)."`
	File     string `yaml:"file,omitempty" about:"File with the password or its bcrypt hash."`
}

// Calls limits the calls by ID of the native protocol.
type Calls struct {
	Parties    int           `yaml:"parties" reload:"yes" about:"Clients in one call, 2 to 8."`
	PerClient  int           `yaml:"per_client" reload:"yes" about:"Calls that one client can be in."`
	OnePerUser bool          `yaml:"one_per_user" reload:"yes" about:"Allow a user to be in one call only."`
	Total      int           `yaml:"total" reload:"yes" about:"All calls. 0: no limit."`
	Unjoined   time.Duration `yaml:"unjoined" reload:"yes" about:"Time after which a call that nobody joined ends."`
	Kept       Size          `yaml:"kept" reload:"yes" about:"Bytes that one call keeps for late joiners."`

	KeptTotal      Size `yaml:"kept_total" reload:"yes" about:"The same, in all calls. 0: no limit."`
	KeptPerAddress Size `yaml:"kept_per_address" reload:"yes" about:"The same, sent from one address to any call. 0: no limit."`
}

// Topics limits the subscriptions of y-webrtc clients. The same limits apply separately to those of Trystero clients.
type Topics struct {
	PerClient   int `yaml:"per_client" reload:"yes" about:"Topics that one client subscribes to."`
	Subscribers int `yaml:"subscribers" reload:"yes" about:"Subscribers of one topic."`
	PerAddress  int `yaml:"per_address" reload:"yes" about:"Subscriptions from one address. 0: no limit."`
	Total       int `yaml:"total" reload:"yes" about:"All subscriptions. 0: no limit."`
}

// APIKey lets its holder sign in and ask for ICE servers. Load sets Key, even if the user wrote it in a file.
type APIKey struct {
	Name string `yaml:"name" about:"Name of the key, for logs and quotas."`
	Key  Secret `yaml:"key,omitempty" about:"The key, in place; at least 16 bytes."`
	File string `yaml:"file,omitempty" about:"File with the key."`
}

// SignalLimits limits the signalling clients. All addresses of an IPv6 /64 count as one.
type SignalLimits struct {
	MaxMessage        Size `yaml:"max_message" reload:"yes" about:"Size of one message, 1 KiB to 16 MiB."`
	MessagesPerSecond int  `yaml:"messages_per_second" reload:"yes" about:"Messages per second of one client, on average."`
	MessageBurst      int  `yaml:"message_burst" reload:"yes" about:"Messages that one client may send at once."`
	QueueMessages     int  `yaml:"queue_messages" reload:"yes" about:"Messages that wait for one client."`
	QueueSize         Size `yaml:"queue_size" reload:"yes" about:"Bytes that wait for one client."`

	Resume         time.Duration `yaml:"resume" reload:"yes" about:"Time in which a client can resume after its connection was lost."`
	ResumeMessages int           `yaml:"resume_messages" reload:"yes" about:"Messages kept for one client to resume."`
	ResumeSize     Size          `yaml:"resume_size" reload:"yes" about:"Bytes kept for one client to resume."`
	WatchedNames   int           `yaml:"watched_names" reload:"yes" about:"Names whose presence one client watches."`

	// Messages that wait until slow clients read or absent clients resume.
	Waiting           Size `yaml:"waiting" reload:"yes" about:"Bytes that wait for all slow or absent clients, beyond 16 KiB each. 0: no limit."`
	WaitingPerAddress Size `yaml:"waiting_per_address" reload:"yes" about:"The same, for the clients of one address. 0: no limit."`

	Connections           int `yaml:"connections" reload:"yes" about:"All signalling connections. 0: no limit."`
	ConnectionsPerAddress int `yaml:"connections_per_address" reload:"yes" about:"Signalling connections of one address. 0: no limit."`
	Mints                 int `yaml:"mints" reload:"yes" about:"Credentials minted per minute. 0: no limit."`
	MintsPerAddress       int `yaml:"mints_per_address" reload:"yes" about:"Credentials minted per minute for one address. 0: no limit."`
}

// HTTP configures the listeners of signalling, pages and ICE endpoints.
type HTTP struct {
	Listen         []HTTPListen `yaml:"listen" reload:"no" about:"Listeners of signalling, the pages and /ice."`
	TrustedProxies []Prefix     `yaml:"trusted_proxies" reload:"yes" about:"Proxies whose X-Forwarded-For and PROXY protocol icebox believes, for TURN listeners too."`
	Origins        []Origin     `yaml:"origins" reload:"yes" about:"Web origins that may connect. Pages of the same host always may."`
}

// HTTPListen is one HTTP listener.
type HTTPListen struct {
	Address Endpoint `yaml:"address" about:":PORT, IPv4:PORT or [IPv6]:PORT."`
	TLS     bool     `yaml:"tls,omitempty" about:"Serve HTTPS with the certificate of tls."`
	STUN    bool     `yaml:"stun,omitempty" about:"Also answer STUN Binding requests on the UDP port of the same number."`
	Classic Classic  `yaml:"classic,omitempty" about:"Wording of the classic protocol on this listener."`

	ProxyProtocol bool `yaml:"proxy_protocol,omitempty" about:"Expect the PROXY protocol from http.trusted_proxies."`
	Redirect      bool `yaml:"redirect,omitempty" about:"Only redirect to https and answer ACME challenges."`

	Protocols []Protocol `yaml:"protocols,omitempty" about:"Protocols of other projects' clients on this listener."`
}

// Classic replaces texts of the classic protocol on one listener. An empty
// field keeps the usual text.
type Classic struct {
	Greeting       string `yaml:"greeting,omitempty" about:"Text that greets a new client."`
	UnknownCommand string `yaml:"unknown_command,omitempty" about:"Text that answers an unknown command."`
	Loose          bool   `yaml:"loose,omitempty" about:"Pass answers and candidates on without an offer before them."`
}

// Origin is a web origin whose pages may use this daemon. "null" stands for
// pages from files and "*" for all origins.
type Origin struct {
	Origin string `yaml:"origin" about:"An origin, null (pages from files) or * (all)."`
}

// Admin configures the listener of metrics and health.
type Admin struct {
	Address Endpoint `yaml:"address" reload:"no" about:"Listener of /metrics, /healthz and /readyz. It has no password: keep it on loopback."`
}

// Shutdown configures how a stopping daemon treats running calls.
type Shutdown struct {
	AlternateServers []netip.AddrPort `yaml:"alternate_servers" reload:"yes" about:"Servers that TURN clients are sent to (error 300) while this one stops, one per family."`

	Drain time.Duration `yaml:"drain" reload:"yes" about:"Time that a stopping daemon gives running calls to end."`
}

// Warnings returns the problems that Load found but did not refuse. They hold
// no secret.
func (c *Config) Warnings() []string { return c.warnings }
