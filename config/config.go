package config

import (
	"net/netip"
	"time"
)

// Config is one valid configuration. Load makes it and nobody changes it
// afterwards; it may be shared between goroutines.
type Config struct {
	PublicHost  Host         `yaml:"public_host"`
	ExternalIP  []ExternalIP `yaml:"external_ip"`
	StateDir    string       `yaml:"state_dir"`
	Log         Log          `yaml:"log"`
	TLS         TLS          `yaml:"tls"`
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
// the host has only one address it could be.
type ExternalIP struct {
	Public  netip.Addr `yaml:"public"`
	Private netip.Addr `yaml:"private,omitempty"`
}

// Log says how much is logged and how.
type Log struct {
	Level  LogLevel  `yaml:"level"`
	Format LogFormat `yaml:"format"`
}

// TLS is the certificate of every TLS and DTLS listener. Its zero value is no
// certificate; at most one of SelfSigned, the two files, and ACME is there. The
// file names are absolute or relative to the process.
type TLS struct {
	SelfSigned  bool   `yaml:"-"`
	Certificate string `yaml:"certificate,omitempty"`
	Key         string `yaml:"key,omitempty"`
	ACME        ACME   `yaml:"acme,omitempty"`
}

// ACME says who issues the certificate. Directory is "" for nobody.
type ACME struct {
	Names     []Host `yaml:"names,omitempty"` // when left out: public_host, and the hosts of turn.listen[].public
	Email     string `yaml:"email,omitempty"`
	Directory string `yaml:"directory,omitempty"`
	Authority string `yaml:"authority,omitempty"` // file with the certificate of a private authority
}

// Enabled reports whether there is a certificate.
func (t TLS) Enabled() bool {
	return t.SelfSigned || t.Certificate != "" || t.Key != "" || t.ACME.Enabled()
}

// Enabled reports whether an authority issues the certificate.
func (a ACME) Enabled() bool { return a.Directory != "" }

// TURN configures the relay.
type TURN struct {
	Realm          string        `yaml:"realm"`
	Listen         []TURNListen  `yaml:"listen"`
	RelayPorts     PortRange     `yaml:"relay_ports"`
	RelayAddresses []netip.Addr  `yaml:"relay_addresses"` // empty: see package relayaddr
	Users          []User        `yaml:"users"`
	Peers          []PeerRule    `yaml:"peers"`
	Limits         TURNLimits    `yaml:"limits"`
	MaxSession     time.Duration `yaml:"max_session"`
	StrictChannels bool          `yaml:"strict_channels"` // refuse numbers above 0x4FFF
}

// TURNListen is one port and what is spoken on it. With ProxyProtocol, trusted
// proxies say on tcp and tls for whom they connect. Public is how clients reach
// it, where that is not by PublicHost and the port of Address.
type TURNListen struct {
	Address       Endpoint    `yaml:"address"`
	Transports    []Transport `yaml:"transports"`
	Public        HostPort    `yaml:"public,omitempty"`
	ProxyProtocol bool        `yaml:"proxy_protocol,omitempty"`
}

// User is a long-term TURN account. Exactly one of Password and Key is set;
// Key is 16 bytes, MD5(name ":" realm ":" password).
type User struct {
	Name     string `yaml:"name"`
	Password Secret `yaml:"password,omitempty"`
	Key      HexKey `yaml:"key,omitempty"`
	File     string `yaml:"file,omitempty"` // holds the password
}

// PeerRule allows or denies relaying to a prefix. Exactly one of Allow and
// Deny is valid; zero Ports are every port.
type PeerRule struct {
	Allow Prefix    `yaml:"allow,omitempty"`
	Deny  Prefix    `yaml:"deny,omitempty"`
	Ports PortRange `yaml:"ports,omitempty"`
}

// TURNLimits bound what clients may hold at one time.
type TURNLimits struct {
	AllocationsPerUser    int `yaml:"allocations_per_user"`
	AllocationsPerAddress int `yaml:"allocations_per_address"`
	Allocations           int `yaml:"allocations"` // 0: as many as there are relay ports
	Permissions           int `yaml:"permissions"` // per allocation
	Channels              int `yaml:"channels"`    // per allocation
	Connections           int `yaml:"connections"` // TCP, TLS and DTLS
	ConnectionsPerAddress int `yaml:"connections_per_address"`

	// Payload bytes a second in each direction; 0: no limit.
	Bandwidth              Size `yaml:"bandwidth"`
	BandwidthPerUser       Size `yaml:"bandwidth_per_user"`
	BandwidthPerAddress    Size `yaml:"bandwidth_per_address"`
	BandwidthPerAllocation Size `yaml:"bandwidth_per_allocation"`

	// Answers a second to UDP requests whose source may be forged.
	Replies          int `yaml:"replies"`
	RepliesPerPrefix int `yaml:"replies_per_prefix"`
}

// Credentials are the time-limited ones.
type Credentials struct {
	Secrets   []SharedSecret `yaml:"secrets"`
	TTL       time.Duration  `yaml:"ttl"`
	MaxFuture time.Duration  `yaml:"max_future"`
}

// SharedSecret verifies credentials that other programs mint. Secret is set
// after Load, whether it was written in place or in a file.
type SharedSecret struct {
	Secret     Secret `yaml:"secret,omitempty"`
	File       string `yaml:"file,omitempty"`
	AllowShort bool   `yaml:"allow_short,omitempty"`
}

// Signal configures who may sign in and how much they may do.
type Signal struct {
	Access Access       `yaml:"access"`
	Keys   []APIKey     `yaml:"keys"`
	JWT    JWT          `yaml:"jwt"`
	Calls  Calls        `yaml:"calls"`
	PeerJS PeerJSRules  `yaml:"peerjs"`
	Topics Topics       `yaml:"topics"`
	Limits SignalLimits `yaml:"limits"`

	PocketBase PocketBaseAccess `yaml:"pocketbase"`
}

// PeerJSRules are for clients of PeerJS.
type PeerJSRules struct {
	Discovery bool `yaml:"discovery"` // who knows the key may list who is there
}

// JWT says which JSON Web Tokens let their bearers sign in.
type JWT struct {
	Issuer     string   `yaml:"issuer"`   // "": any
	Audience   string   `yaml:"audience"` // "": any
	NameClaim  string   `yaml:"name_claim"`
	CallsClaim string   `yaml:"calls_claim"`
	JWKS       string   `yaml:"jwks"` // URL of a key set; "": none
	Keys       []JWTKey `yaml:"keys"`
}

// JWTKey verifies tokens. Exactly one of Public and Secret is set after Load: a file of public keys, whose Data is
// PEM or a JSON Web Key Set for its user to read, or a secret for HS256, written in place or in a file.
type JWTKey struct {
	Public string `yaml:"public,omitempty"`
	Secret Secret `yaml:"secret,omitempty"`
	File   string `yaml:"file,omitempty"`
	Data   []byte `yaml:"-"`
}

// PocketBaseAccess says who signs in with PocketBase's SDK, by whatever access is for the other protocols; with Anyone, those whom that lets in
// are users too.
type PocketBaseAccess struct {
	Users  []PocketBaseUser `yaml:"users"`
	Anyone bool             `yaml:"anyone"`
}

// PocketBaseUser is one of them. Password is set after Load, whether it was written in place or in a file; it may be a hash of bcrypt.
type PocketBaseUser struct {
	Identity string `yaml:"identity"`
	Password Secret `yaml:"password,omitempty"`
	File     string `yaml:"file,omitempty"`
}

// Calls bound calls by ID.
type Calls struct {
	Parties    int           `yaml:"parties"`
	PerClient  int           `yaml:"per_client"`
	OnePerUser bool          `yaml:"one_per_user"`
	Total      int           `yaml:"total"`    // 0: no limit
	Unjoined   time.Duration `yaml:"unjoined"` // until a call ends that nobody joined
	Kept       Size          `yaml:"kept"`     // for who joins

	KeptTotal      Size `yaml:"kept_total"` // by all calls; 0 is no limit, here and below
	KeptPerAddress Size `yaml:"kept_per_address"`
}

// Topics bound the subscriptions of y-webrtc's clients, and as many again of Trystero's.
type Topics struct {
	PerClient   int `yaml:"per_client"`
	Subscribers int `yaml:"subscribers"` // of one topic
	PerAddress  int `yaml:"per_address"` // 0: no limit
	Total       int `yaml:"total"`       // 0: no limit
}

// APIKey lets its holder sign in and ask for ICE servers. Key is set after
// Load, whether it was written in place or in a file.
type APIKey struct {
	Name string `yaml:"name"`
	Key  Secret `yaml:"key,omitempty"`
	File string `yaml:"file,omitempty"`
}

// SignalLimits bound the signalling clients.
type SignalLimits struct {
	MaxMessage        Size `yaml:"max_message"`
	MessagesPerSecond int  `yaml:"messages_per_second"` // per client, on average
	MessageBurst      int  `yaml:"message_burst"`       // per client, at once
	QueueMessages     int  `yaml:"queue_messages"`      // waiting for one client
	QueueSize         Size `yaml:"queue_size"`          // waiting for one client

	Resume         time.Duration `yaml:"resume"` // after a connection is lost
	ResumeMessages int           `yaml:"resume_messages"`
	ResumeSize     Size          `yaml:"resume_size"`
	WatchedNames   int           `yaml:"watched_names"` // by one client

	// Waiting for clients to read or to come back, beyond 16 KiB each; 0 is no limit.
	Waiting           Size `yaml:"waiting"`
	WaitingPerAddress Size `yaml:"waiting_per_address"`

	Connections           int `yaml:"connections"` // 0: no limit
	ConnectionsPerAddress int `yaml:"connections_per_address"`
	Mints                 int `yaml:"mints"`             // credentials a minute; 0: no limit
	MintsPerAddress       int `yaml:"mints_per_address"` // credentials a minute; 0: no limit
}

// HTTP configures the listeners of signalling, pages and ICE endpoints.
type HTTP struct {
	Listen         []HTTPListen `yaml:"listen"`
	TrustedProxies []Prefix     `yaml:"trusted_proxies"` // of TURN listeners too
	Origins        []Origin     `yaml:"origins"`
}

// HTTPListen is one HTTP listener. STUN also answers Binding requests on the
// UDP port of the same number.
type HTTPListen struct {
	Address Endpoint `yaml:"address"`
	TLS     bool     `yaml:"tls,omitempty"`
	STUN    bool     `yaml:"stun,omitempty"`
	Classic Classic  `yaml:"classic,omitempty"`

	ProxyProtocol bool `yaml:"proxy_protocol,omitempty"` // as for TURNListen
	Redirect      bool `yaml:"redirect,omitempty"`       // serves nothing, and sends everybody to https

	Protocols []Protocol `yaml:"protocols,omitempty"` // of others' clients
}

// Classic words the classic protocol of one listener. Empty is the usual
// wording.
type Classic struct {
	Greeting       string `yaml:"greeting,omitempty"`
	UnknownCommand string `yaml:"unknown_command,omitempty"`
	Loose          bool   `yaml:"loose,omitempty"` // answers and candidates pass without an offer
}

// Origin is a web origin whose pages may use this daemon, "null" for pages from
// files, or "*" for all.
type Origin struct {
	Origin string `yaml:"origin"`
}

// Admin is the listener of metrics and health.
type Admin struct {
	Address Endpoint `yaml:"address"`
}

// Shutdown says how long a stopping daemon waits for calls to end.
type Shutdown struct {
	AlternateServers []netip.AddrPort `yaml:"alternate_servers"` // where clients are sent meanwhile, one for each family

	Drain time.Duration `yaml:"drain"`
}

// Warnings are what Load found worth saying and not worth refusing. They hold
// no secret.
func (c *Config) Warnings() []string { return c.warnings }

// printed leaves out what came from a file.
func (u User) printed() any {
	if u.File != "" {
		u.Password = Secret{}
	}
	return u
}

// printed leaves out what came from a file.
func (s SharedSecret) printed() any {
	if s.File != "" {
		s.Secret = Secret{}
	}
	return s
}

// printed leaves out what came from a file.
func (k JWTKey) printed() any {
	if k.File != "" {
		k.Secret = Secret{}
	}
	return k
}

// printed leaves out what came from a file.
func (u PocketBaseUser) printed() any {
	if u.File != "" {
		u.Password = Secret{}
	}
	return u
}

// printed leaves out what came from a file.
func (k APIKey) printed() any {
	if k.File != "" {
		k.Key = Secret{}
	}
	return k
}
