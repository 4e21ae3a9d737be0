package coturn

// Reasons that several options share.
const (
	noDatabase  = "icebox reads no database: write the accounts (turnadmin -l) to turn.users and the secrets (turnadmin -s) to credentials.secrets"
	noNetworks  = "icebox relays only UDP (no RFC 6062), which is all that WebRTC needs"
	goTLS       = "icebox uses TLS 1.2 and later with the ciphers and curves that Go considers safe; they cannot be changed"
	noOldTLS    = "TLS before 1.2 is never offered"
	ownLoop     = "icebox has its own relay loop, which uses up to one worker for each core, as the load requires, and batched system calls where the kernel has them"
	noDiscovery = "NAT behaviour discovery (RFC 5780) is not supported; it needs two addresses and makes responses larger"
	noRedirect  = "icebox redirects clients only while it stops: set shutdown.alternate_servers"
	noCLI       = "there is no telnet interface: use icebox doctor, icebox drain, icebox reload and /metrics"
	noWebAdmin  = "there is no admin web page: use icebox doctor, /metrics and deploy/grafana"
	unitsJob    = "the systemd unit does that"
	journal     = "icebox logs to standard error, which systemd puts into the journal"
	noMultiplex = "each allocation has its own port; widen the relay range for more allocations"
	noInterface = "name the addresses instead of the interface, in turn.listen and turn.relay_addresses"
	fixedByRFC  = "icebox uses the value of RFC 8656"
	noOAuth     = "OAuth (RFC 7635) is not supported"
	noOldSTUN   = "RFC 3489 has been obsolete since 2008 and is not supported"
	ownNonces   = "icebox's nonces are always stateless and short-lived"
)

// network has the options about addresses, ports and packets.
var network = map[string]outcome{
	"listening-device":                  {lost, noInterface},
	"relay-device":                      {lost, noInterface},
	"udp-self-balance":                  {builtIn, ownLoop},
	"relay-threads":                     {builtIn, ownLoop},
	"cpus":                              {builtIn, ownLoop + "; GOMAXPROCS in /etc/default/icebox overrides their number"},
	"ne":                                {builtIn, ownLoop},
	"sock-buf-size":                     {builtIn, "icebox asks for large buffers itself; net.core.rmem_max bounds them, which icebox doctor checks"},
	"udp-recvmmsg":                      {builtIn, ownLoop},
	"udp-recvmmsg-log":                  {builtIn, ownLoop},
	"udp-sendmmsg-log":                  {builtIn, ownLoop},
	"udp-gso":                           {builtIn, ownLoop},
	"multiplex-peer":                    {lost, noMultiplex},
	"multiplex-peer-port":               {lost, noMultiplex},
	"multiplex-peer-max-peers":          {lost, noMultiplex},
	"no-udp-relay":                      {lost, "without UDP there is nothing to relay: stop icebox, or deny all of 0.0.0.0/0 and ::/0 in turn.peers"},
	"no-tcp-relay":                      {builtIn, noNetworks},
	"alternate-server":                  {lost, noRedirect},
	"tls-alternate-server":              {lost, noRedirect},
	"udp-alternate-server":              {lost, noRedirect},
	"tcp-alternate-server":              {lost, noRedirect},
	"stun-only":                         {lost, "TURN is always on; without users and secrets, only clients that sign in to icebox can use it"},
	"no-stun":                           {lost, "STUN Binding requests are always answered, which costs no memory"},
	"secure-stun":                       {lost, "STUN Binding requests are answered without a password, as RFC 8489 expects of a public server"},
	"rfc5780":                           {lost, noDiscovery},
	"no-rfc5780":                        {builtIn, noDiscovery},
	"response-origin-only-with-rfc5780": {builtIn, noDiscovery},
	"stun-backward-compatibility":       {lost, "responses have only XOR-MAPPED-ADDRESS"},
	"no-stun-backward-compatibility":    {builtIn, "responses have only XOR-MAPPED-ADDRESS"},
	"rfc3489-compatibility":             {lost, noOldSTUN},
	"rfc5766-channel-numbers":           {builtIn, "channel numbers up to 0x7FFF are accepted unless turn.strict_channels is set"},
	"respond-http-unsupported":          {lost, "packets on a TURN port that are not STUN or TURN are dropped"},
	"drop-invalid-packets":              {builtIn, "malformed packets are always dropped and counted"},
	"drop-invalid-packets-log":          {builtIn, "malformed packets are counted in /metrics, by reason"},
	"include-reason-string":             {lost, "error responses have the standard's reason phrases; the log has the details"},
	"server-relay":                      {lost, "dangerous: the relay never takes packets from peers without a permission"},
	"allow-loopback-peers":              {lost, "dangerous: the relay never reaches its own host"},
	"no-multicast-peers":                {builtIn, "multicast and broadcast are always denied"},
	"mobility":                          {lost, "mobility (RFC 8016) is not supported; browsers restart ICE instead"},
	"keep-address-family":               {lost, "without REQUESTED-ADDRESS-FAMILY a client gets IPv4, as RFC 8656 requires"},
	"allocation-default-address-family": {lost, "without REQUESTED-ADDRESS-FAMILY a client gets IPv4, as RFC 8656 requires"},
	"max-allocate-timeout":              {builtIn, "connections that do not complete a message in time are closed"},
	"max-allocate-lifetime":             {lost, "an allocation lives for up to an hour between refreshes; turn.max_session limits its whole life"},
	"channel-lifetime":                  {lost, fixedByRFC + " (10 minutes)"},
	"permission-lifetime":               {lost, fixedByRFC + " (5 minutes)"},
}

// accounts has the options about users and credentials.
var accounts = map[string]outcome{
	"lt-cred-mech":               {builtIn, "long-term credentials are always required"},
	"no-auth":                    {lost, "dangerous: an open relay is found and abused within days. Clients need a user of turn.users or a time-limited credential"},
	"userdb":                     {lost, noDatabase},
	"db":                         {lost, noDatabase},
	"psql-userdb":                {lost, noDatabase},
	"sql-userdb":                 {lost, noDatabase},
	"mysql-userdb":               {lost, noDatabase},
	"mongo-userdb":               {lost, noDatabase},
	"redis-userdb":               {lost, noDatabase},
	"redis-statsdb":              {lost, "the log has a line about each session, and /metrics has totals without names"},
	"secret-key-file":            {lost, noDatabase},
	"no-auth-pings":              {builtIn, noDatabase},
	"no-dynamic-ip-list":         {builtIn, noDatabase},
	"no-dynamic-realms":          {builtIn, noDatabase},
	"secret-ts-exp-time":         {lost, "coturn itself ignores it; the program that mints a credential sets its expiry"},
	"rest-api-separator":         {lost, "expiry and user are separated by a colon"},
	"server-name":                {lost, noOAuth},
	"oauth":                      {lost, noOAuth},
	"check-origin-consistency":   {lost, "the ORIGIN attribute was never standardised and browsers don't send it"},
	"stale-nonce":                {builtIn, ownNonces},
	"stateless-nonce":            {builtIn, ownNonces},
	"stateless-nonce-secret":     {lost, "a nonce is valid only at the server that issued it; another server issues a new one, which costs a round trip"},
	"unauthorized-ratelimit":     {builtIn, "responses to senders that have not proven their address are always limited: turn.limits.replies_per_prefix"},
	"unauthorized-ratelimit-rps": {lost, "the limit is per /24 or /48 instead of per address: turn.limits.replies_per_prefix"},
	"fingerprint":                {builtIn, "a response has a FINGERPRINT if its request has one"},
	"no-software-attribute":      {builtIn, "responses never name the software"},
	"software-attribute":         {lost, "responses never name the software"},
	"prod":                       {builtIn, "responses never name the software"},
}

// encryption has the options about TLS and DTLS.
var encryption = map[string]outcome{
	"pkey-pwd":        {lost, "the key must not be encrypted, and only the daemon's group may read it: openssl pkey -in OLD -out NEW"},
	"CA-file":         {lost, "icebox does not ask for client certificates, because TURN has its own passwords"},
	"raw-public-keys": {lost, "raw public keys (RFC 7250) are not supported; no browser uses them"},
	"cipher-list":     {lost, goTLS},
	"ec-curve-name":   {lost, goTLS},
	"dh566":           {lost, goTLS},
	"dh1066":          {lost, goTLS},
	"dh-file":         {lost, goTLS},
	"tlsv1":           {lost, noOldTLS},
	"tlsv1_1":         {lost, noOldTLS},
	"no-tlsv1_2":      {lost, "TLS 1.2 is always offered beside 1.3; DTLS has nothing newer yet"},
	"no-tlsv1":        {builtIn, noOldTLS},
	"no-tlsv1_1":      {builtIn, noOldTLS},
	"no-sslv2":        {builtIn, noOldTLS},
	"no-sslv3":        {builtIn, noOldTLS},
	"acme-redirect":   {lost, "icebox gets its certificate itself (tls.acme), or the web server in front of it does"},
}

// operation has the options about running the process.
var operation = map[string]outcome{
	"log-file":                    {lost, journal},
	"no-stdout-log":               {builtIn, journal},
	"syslog":                      {builtIn, journal},
	"syslog-facility":             {lost, journal},
	"simple-log":                  {builtIn, journal},
	"new-log-timestamp":           {builtIn, journal},
	"new-log-timestamp-format":    {lost, journal},
	"log-binding":                 {lost, "Binding requests are counted in /metrics and never logged"},
	"pidfile":                     {builtIn, unitsJob},
	"daemon":                      {builtIn, unitsJob},
	"proc-user":                   {builtIn, unitsJob + ": the user is icebox"},
	"proc-group":                  {builtIn, unitsJob + ": the group is icebox"},
	"drain-min-allocations":       {lost, "icebox drain waits for every session, up to --within"},
	"cli":                         {lost, noCLI},
	"no-cli":                      {builtIn, noCLI},
	"cli-ip":                      {lost, noCLI},
	"cli-port":                    {lost, noCLI},
	"cli-password":                {lost, noCLI},
	"cli-max-output-sessions":     {lost, noCLI},
	"web-admin":                   {lost, noWebAdmin},
	"web-admin-ip":                {lost, noWebAdmin},
	"web-admin-port":              {lost, noWebAdmin},
	"web-admin-listen-on-workers": {lost, noWebAdmin},
	"prometheus":                  {builtIn, "/metrics is always on, by default only on loopback (admin.address); the names differ from coturn's, see deploy/prometheus"},
	"prometheus-address":          {lost, "/metrics stays on loopback unless you move admin.address"},
	"prometheus-path":             {lost, "the path is /metrics"},
	"prometheus-tls":              {lost, "/metrics has no TLS: keep it on loopback, or put a proxy in front"},
	"prometheus-cert":             {lost, "/metrics has no TLS: keep it on loopback, or put a proxy in front"},
	"prometheus-key":              {lost, "/metrics has no TLS: keep it on loopback, or put a proxy in front"},
	"prometheus-username-labels":  {lost, "no metric has users as labels, because their number is unlimited"},
	"version":                     {builtIn, "icebox version"},
}
