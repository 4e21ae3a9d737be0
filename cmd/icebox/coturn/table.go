package coturn

import "maps"

// outcomeKind is the kind of an outcome.
type outcomeKind int

const (
	translated outcomeKind = iota // the import writes its counterpart
	builtIn                       // icebox does that anyway, or does not need it
	lost                          // there is no counterpart
)

// outcome is the result of the import for an option. The text is the reason, or, for a translated option, its key in icebox.
type outcome struct {
	kind outcomeKind
	text string
}

// switches are the options that are on or off. A switch that is off has no effect.
var switches = set(
	"Verbose", "allow-loopback-peers", "check-origin-consistency", "cli", "daemon", "dh1066", "dh566", "drop-invalid-packets",
	"drop-invalid-packets-log", "dtls", "fingerprint", "include-reason-string", "keep-address-family", "log-binding", "lt-cred-mech",
	"mobility", "multiplex-peer", "new-log-timestamp", "no-auth", "no-auth-pings", "no-cli", "no-dtls", "no-dynamic-ip-list",
	"no-dynamic-realms", "no-multicast-peers", "no-rfc5780", "no-software-attribute", "no-sslv2", "no-sslv3", "no-stdout-log", "no-stun",
	"no-stun-backward-compatibility", "no-tcp", "no-tcp-relay", "no-tls", "no-tlsv1", "no-tlsv1_1", "no-tlsv1_2", "no-udp", "no-udp-relay",
	"oauth", "prod", "prometheus", "prometheus-tls", "prometheus-username-labels", "raw-public-keys", "respond-http-unsupported",
	"response-origin-only-with-rfc5780", "rfc3489-compatibility", "rfc5766-channel-numbers", "rfc5780", "secure-stun", "server-relay",
	"simple-log", "software-attribute", "stateless-nonce", "stun-backward-compatibility", "stun-only", "syslog", "tlsv1", "tlsv1_1",
	"udp-gso", "udp-recvmmsg", "udp-recvmmsg-log", "udp-self-balance", "udp-sendmmsg-log", "unauthorized-ratelimit", "use-auth-secret",
	"verbose", "version", "web-admin", "web-admin-listen-on-workers")

func set(names ...string) map[string]bool {
	all := make(map[string]bool)
	for _, n := range names {
		all[n] = true
	}
	return all
}

// outcomes has every option of coturn 4.6.1 and 4.17.1.
var outcomes = func() map[string]outcome {
	all := make(map[string]outcome)
	for _, part := range []map[string]outcome{translatedOptions, network, accounts, encryption, operation} {
		maps.Copy(all, part)
	}
	return all
}()

// translatedOptions are the options that have a counterpart.
var translatedOptions = map[string]outcome{
	"listening-port":         {translated, "turn.listen"},
	"tls-listening-port":     {translated, "turn.listen"},
	"alt-listening-port":     {translated, "turn.listen"},
	"alt-tls-listening-port": {translated, "turn.listen"},
	"listening-ip":           {translated, "turn.listen"},
	"aux-server":             {translated, "turn.listen"},
	"tcp-proxy-port":         {translated, "turn.listen"},
	"no-udp":                 {translated, "turn.listen"},
	"no-tcp":                 {translated, "turn.listen"},
	"no-tls":                 {translated, "turn.listen"},
	"no-dtls":                {translated, "turn.listen"},
	"dtls":                   {translated, "turn.listen"},
	"relay-ip":               {translated, "turn.relay_addresses"},
	"external-ip":            {translated, "external_ip"},
	"min-port":               {translated, "turn.relay_ports"},
	"max-port":               {translated, "turn.relay_ports"},
	"realm":                  {translated, "turn.realm"},
	"user":                   {translated, "turn.users"},
	"use-auth-secret":        {translated, "credentials.secrets"},
	"static-auth-secret":     {translated, "credentials.secrets"},
	"cert":                   {translated, "tls.certificate"},
	"pkey":                   {translated, "tls.key"},
	"allowed-peer-ip":        {translated, "turn.peers"},
	"denied-peer-ip":         {translated, "turn.peers"},
	"user-quota":             {translated, "turn.limits.allocations_per_user"},
	"total-quota":            {translated, "turn.limits.allocations"},
	"max-bps":                {translated, "turn.limits.bandwidth_per_allocation"},
	"bps-capacity":           {translated, "turn.limits.bandwidth"},
	"verbose":                {translated, "log.level"},
	"Verbose":                {translated, "log.level"},
	"log-min-level":          {translated, "log.level"},
	"prometheus-port":        {translated, "admin.address"},
}
