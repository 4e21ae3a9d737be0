package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// bad has the complete error of every file in testdata/bad, without the directory.
var bad = map[string]string{
	"access":              `access.yaml:2: signal.access: want open, key or jwt, got "closed"`,
	"access_without_keys": "access_without_keys.yaml:2: signal.access: is key, but signal.keys is empty: nobody could sign in",
	"anchor": `anchor.yaml:3: turn.users[0]: YAML anchors and aliases are not supported: quote a text that begins with & or *
anchor.yaml:4: turn.users[1]: YAML anchors and aliases are not supported: quote a text that begins with & or *`,
	"bool_is_text":                   `bool_is_text.yaml:4: http.listen[0].stun: want true or false, got "yes"`,
	"duplicate_key":                  "duplicate_key.yaml:3: turn.realm: set twice, first on line 2",
	"duplicate_record":               "duplicate_record.yaml:3: turn: set twice, first on line 1",
	"duration_without_unit":          `duration_without_unit.yaml:2: credentials.ttl: want a duration with its unit such as 90s, 10m or 24h, got "3600"`,
	"external_ip_ambiguous":          "external_ip_ambiguous.yaml:3: external_ip[1]: private is missing: each of several public addresses of one family needs its own",
	"external_ip_family":             "external_ip_family.yaml:2: external_ip[0]: public 203.0.113.7 and private fd00::5 are of different families",
	"external_ip_multicast":          "external_ip_multicast.yaml:2: external_ip[0].public: 224.0.0.1 is not an address at which other hosts can reach this one",
	"external_ip_no_public":          "external_ip_no_public.yaml:2: external_ip[0]: public is missing",
	"external_ip_not_an_address":     `external_ip_not_an_address.yaml:2: external_ip[0].public: want an IP address, got "turn.example.org"`,
	"external_ip_twice":              "external_ip_twice.yaml:3: external_ip[1].private: 10.0.0.5 is the same as external_ip[0].private",
	"http_no_address":                "http_no_address.yaml:3: http.listen[0]: address is missing",
	"http_tls_without_certificate":   "http_tls_without_certificate.yaml:4: http.listen[0].tls: needs a certificate: set tls at the top of the file",
	"jwt_http":                       `jwt_http.yaml:3: signal.jwt.jwks: an attacker can replace keys that are fetched over plain http: want https, got "http://id.example.org/keys"`,
	"jwt_key_both":                   "jwt_key_both.yaml:4: signal.jwt.keys[0]: has public and secret: set only one of them",
	"jwt_key_short":                  "jwt_key_short.yaml:4: signal.jwt.keys[0].secret: has 16 bytes, want at least 32",
	"jwt_name_claim":                 "jwt_name_claim.yaml:3: signal.jwt.name_claim: is empty",
	"jwt_no_keys":                    "jwt_no_keys.yaml:2: signal.access: is jwt, but signal.jwt has neither keys nor jwks: nobody could sign in",
	"jwt_url":                        `jwt_url.yaml:3: signal.jwt.jwks: want a URL such as https://id.example.org/jwks.json, got "keys.json"`,
	"call_parties":                   "call_parties.yaml:3: signal.calls.parties: want 2 to 8, got 9",
	"topics_zero":                    "topics_zero.yaml:3: signal.topics.subscribers: want 1 or more, got 0",
	"call_unjoined":                  "call_unjoined.yaml:3: signal.calls.unjoined: want 1m to 168h, got 1s",
	"resume":                         "resume.yaml:3: signal.limits.resume: want 1s to 1h, got 2h",
	"resume_messages":                "resume_messages.yaml:3: signal.limits.resume_messages: want 8 or more, got 1",
	"resume_size":                    "resume_size.yaml:3: signal.limits.resume_size: a resume_size of 1024 bytes cannot hold one message of 262144 bytes",
	"waiting":                        "waiting.yaml:3: signal.limits.waiting: 8388608 bytes are less than waiting_per_address, 16777216 bytes",
	"waiting_per_address":            "waiting_per_address.yaml:3: signal.limits.waiting_per_address: a waiting_per_address of 1048576 bytes cannot hold the queue_size and resume_size of one client, 1572864 bytes",
	"key_is_a_list":                  "key_is_a_list.yaml:2: turn: a key must be a name, got a list",
	"key_name_twice":                 `key_name_twice.yaml:5: signal.keys[1].name: "web" is the same as signal.keys[0].name`,
	"key_no_name":                    "key_no_name.yaml:3: signal.keys[0]: name is missing",
	"key_short":                      "key_short.yaml:4: signal.keys[0].key: has 5 bytes, want at least 16",
	"list_is_a_record":               "list_is_a_record.yaml:3: turn.users: want a list, got a record",
	"list_item_without_value":        "list_item_without_value.yaml:3: turn.listen[0]: has no value",
	"limit_zero":                     "limit_zero.yaml:3: turn.limits.permissions: want 1 or more, got 0",
	"listen_bad_host":                `listen_bad_host.yaml:3: http.listen[0].address: want an IP address or nothing before the port, got "eth0"`,
	"listen_bad_port":                `listen_bad_port.yaml:3: turn.listen[0].address: want a port from 0 to 65535 after the last colon, got "70000"`,
	"listen_name":                    "listen_name.yaml:3: turn.listen[0].address: want an IP address, not a name: write 127.0.0.1 or [::1]",
	"listen_no_address":              "listen_no_address.yaml:3: turn.listen[0]: address is missing",
	"listen_no_brackets":             `listen_no_brackets.yaml:3: turn.listen[0].address: want brackets around an IPv6 address and around nothing else, got "::1"`,
	"listen_no_port":                 `listen_no_port.yaml:3: turn.listen[0].address: want an address and a port such as :3478 or 127.0.0.1:8080, got "127.0.0.1"`,
	"listen_no_transports":           "listen_no_transports.yaml:4: turn.listen[0].transports: is empty",
	"listen_nothing":                 "listen_nothing.yaml:4: http.listen: is empty and so is turn.listen: there is nothing to serve",
	"listen_overlap":                 "listen_overlap.yaml:4: turn.listen[1].address: tcp 127.0.0.1:3478 is taken by turn.listen[0], :3478",
	"listen_overlap_admin":           "listen_overlap_admin.yaml:2: admin.address: tcp 127.0.0.1:8080 is taken by http.listen[0], 127.0.0.1:8080",
	"listen_overlap_http":            "listen_overlap_http.yaml:6: http.listen[0].address: tcp 127.0.0.1:8080 is taken by turn.listen[0], 127.0.0.1:8080",
	"listen_overlap_share":           "listen_overlap_share.yaml:5: http.listen[0].address: tcp 127.0.0.1:443 is taken by turn.listen[0], :443: give both the same address to share the port",
	"listen_overlap_share_plain":     "listen_overlap_share_plain.yaml:4: http.listen[0].address: tcp :443 is taken by turn.listen[0], :443",
	"listen_overlap_stun":            "listen_overlap_stun.yaml:7: http.listen[0].address: udp :9090 is taken by turn.listen[0], :9090",
	"listen_tcp_and_tls":             "listen_tcp_and_tls.yaml:5: turn.listen[0].transports: tcp and tls need a port each",
	"listen_tls_without_certificate": "listen_tls_without_certificate.yaml:4: turn.listen[0].transports[0]: tls needs a certificate: set tls",
	"listen_transport":               `listen_transport.yaml:4: turn.listen[0].transports[1]: want udp, tcp, tls or dtls, got "sctp"`,
	"listen_transport_twice":         "listen_transport_twice.yaml:4: turn.listen[0].transports[1]: udp is listed twice",
	"log_level":                      `log_level.yaml:2: log.level: want debug, info, warn or error, got "loud"`,
	"max_future_below_ttl":           "max_future_below_ttl.yaml:3: credentials.max_future: a max_future of 1h is shorter than a ttl of 2h: this daemon would refuse its own credentials",
	"max_message":                    "max_message.yaml:3: signal.limits.max_message: want 1KiB to 16MiB, got 100 bytes",
	"max_session":                    "max_session.yaml:2: turn.max_session: want 1m to 8760h, got 10s",
	"message_burst_zero":             "message_burst_zero.yaml:3: signal.limits.message_burst: want 1 or more, got 0",
	"misplaced_key":                  "misplaced_key.yaml:1: realm: unknown key (did you mean turn.realm?)",
	"no_value":                       "no_value.yaml:2: turn.realm: has no value",
	"not_yaml":                       "not_yaml.yaml:2: found unexpected end of stream",
	"number_is_negative":             `number_is_negative.yaml:3: turn.limits.permissions: want a whole number, 0 or more, got "-1"`,
	"number_is_text":                 `number_is_text.yaml:3: turn.limits.permissions: want a whole number, 0 or more, got "many"`,
	"origin_default_port":            "origin_default_port.yaml:3: http.origins[0]: browsers leave out the default port: write https://app.example.org",
	"origin_missing":                 `origin_missing.yaml:3: http.origins[0]: want an origin such as https://app.example.org, got ""`,
	"origin_name":                    `origin_name.yaml:3: http.origins[0]: want an origin such as https://app.example.org, got "app.example.org"`,
	"origin_path":                    `origin_path.yaml:3: http.origins[0]: "https://app.example.org/" is more than an origin: write https://app.example.org`,
	"peer_both":                      "peer_both.yaml:3: turn.peers[0]: has allow and deny: set only one of them",
	"peer_host_bits":                 "peer_host_bits.yaml:3: turn.peers[0].allow: 10.1.2.3/8 has bits set beyond its prefix length: write 10.0.0.0/8",
	"peer_mapped":                    "peer_mapped.yaml:3: turn.peers[0].deny: ::ffff:10.0.0.0/104 is an IPv4-mapped prefix: write the IPv4 prefix, which matches both forms",
	"peer_neither":                   "peer_neither.yaml:3: turn.peers[0]: needs one of allow and deny",
	"peer_not_a_prefix":              `peer_not_a_prefix.yaml:3: turn.peers[0].deny: want a prefix such as 10.0.0.0/8 or an address, got "everything"`,
	"peer_ports":                     `peer_ports.yaml:4: turn.peers[0].ports: want a range of ports such as 49152-65535, got "0-1023"`,
	"listen_public":                  `listen_public.yaml:4: turn.listen[0].public: want a host and a port such as turn.example.org:443, got "turn.example.org"`,
	"listen_public_port":             `listen_public_port.yaml:4: turn.listen[0].public: want a port from 1 to 65535 after the last colon, got "https"`,
	"proxy_protocol_nobody":          "proxy_protocol_nobody.yaml:4: http.listen[0].proxy_protocol: needs at least one proxy in http.trusted_proxies",
	"proxy_protocol_shared":          "proxy_protocol_shared.yaml:5: http.listen[0].proxy_protocol: must have the same value as turn.listen[0], which shares :443",
	"proxy_protocol_udp":             "proxy_protocol_udp.yaml:3: turn.listen[0].proxy_protocol: applies to tcp and tls, but transports has neither",
	"protocol_missing":               "protocol_missing.yaml:4: http.listen[0].protocols[0]: protocol is missing",
	"protocol_name":                  `protocol_name.yaml:4: http.listen[0].protocols[0]: want peerjs, pocketbase, y-webrtc or trystero, got "peer"`,
	"protocol_own_route":             "protocol_own_route.yaml:4: http.listen[0].protocols[0].path: /sdk/peers is taken by icebox itself, /sdk",
	"protocol_path":                  `protocol_path.yaml:4: http.listen[0].protocols[0].path: want a path of letters, digits and -._~ such as /app/peerjs, got "/peerjs/"`,
	"protocol_redirect":              "protocol_redirect.yaml:3: http.listen[0].redirect: a listener that only redirects cannot have tls, classic or protocols",
	"protocol_root":                  "protocol_root.yaml:4: http.listen[0].protocols[0].path: y-webrtc serves everything below its path: give it a path of its own, such as /y-webrtc",
	"protocol_taken":                 "protocol_taken.yaml:4: http.listen[0].protocols[1].path: /peerjs/app is taken by http.listen[0].protocols[0], /peerjs",
	"protocol_twice":                 "protocol_twice.yaml:4: http.listen[0].protocols[1]: /peerjs is taken by http.listen[0].protocols[0], /peerjs",
	"protocol_under":                 "protocol_under.yaml:4: http.listen[0].protocols[1].path: /api is taken by icebox itself, /api/turn",
	"pocketbase_nobody":              "pocketbase_nobody.yaml:4: http.listen[0].protocols[0]: pocketbase has neither signal.pocketbase.users nor anyone: nobody could sign in",
	"pocketbase_identity":            "pocketbase_identity.yaml:4: signal.pocketbase.users[0].identity: want 1 to 255 bytes that can be printed",
	"pocketbase_no_identity":         "pocketbase_no_identity.yaml:4: signal.pocketbase.users[0]: identity is missing",
	"pocketbase_twice":               `pocketbase_twice.yaml:5: signal.pocketbase.users[1].identity: "bob" is the same as signal.pocketbase.users[0].identity`,
	"pocketbase_no_password":         "pocketbase_no_password.yaml:4: signal.pocketbase.users[0]: needs one of password and file",
	"pocketbase_long_password":       "pocketbase_long_password.yaml:5: signal.pocketbase.users[0].password: want 1 to 72 bytes, got 73",
	"pocketbase_slow_hash":           "pocketbase_slow_hash.yaml:5: signal.pocketbase.users[0].password: a bcrypt cost of 15 takes too long: want 14 or less",
	"public_host_is_url":             "public_host_is_url.yaml:1: public_host: want only a name or an address: write turn.example.org",
	"public_host_label":              `public_host_label.yaml:1: public_host: "turn_1.example.org" is not a DNS name: a label has letters, digits and inner hyphens, got "turn_1"`,
	"public_host_numbers":            `public_host_numbers.yaml:1: public_host: "203.0.113.256" is neither an IP address nor a DNS name`,
	"public_host_unspecified":        "public_host_unspecified.yaml:1: public_host: 0.0.0.0 is not an address that clients can use",
	"public_host_with_brackets":      "public_host_with_brackets.yaml:1: public_host: want only a name or an address: write 2001:db8::1",
	"public_host_with_port":          "public_host_with_port.yaml:1: public_host: want only a name or an address: write turn.example.org",
	"queue_messages":                 "queue_messages.yaml:3: signal.limits.queue_messages: want 8 or more, got 1",
	"queue_size":                     "queue_size.yaml:3: signal.limits.max_message: a queue_size of 1048576 bytes cannot hold one message of 2097152 bytes",
	"realm_control":                  "realm_control.yaml:2: turn.realm: has characters that cannot be printed",
	"realm_empty":                    "realm_empty.yaml:2: turn.realm: is empty",
	"record_is_a_list":               "record_is_a_list.yaml:1: turn: want a record of keys and values, got a list",
	"redirect_nowhere":               "redirect_nowhere.yaml:2: http.listen[0].redirect: has no target: no http.listen has tls, and public_host is unset",
	"redirect_tls":                   "redirect_tls.yaml:3: http.listen[0].redirect: a listener that only redirects cannot have tls, classic or protocols",
	"relay_address":                  "relay_address.yaml:2: turn.relay_addresses[0]: 0.0.0.0 is not an address at which other hosts can reach this one",
	"relay_ports_backwards":          "relay_ports_backwards.yaml:2: turn.relay_ports: 65535-49152 is backwards: write 49152-65535",
	"relay_ports_low":                "relay_ports_low.yaml:2: turn.relay_ports: want ports from 1024 to 65535, got 1000-2000",
	"relay_ports_text":               `relay_ports_text.yaml:2: turn.relay_ports: want a range of ports such as 49152-65535, got "high"`,
	"root_is_a_list":                 "root_is_a_list.yaml:1: want a record of keys and values, got a list",
	"secret_and_file":                "secret_and_file.yaml:3: credentials.secrets[0]: has secret and file: set only one of them",
	"secret_empty_file":              "secret_empty_file.yaml:3: credentials.secrets[0].file: testdata/secrets/empty is empty",
	"secret_is_a_directory":          "secret_is_a_directory.yaml:3: credentials.secrets[0].file: read testdata/secrets: not a regular file",
	"secret_short":                   "secret_short.yaml:3: credentials.secrets[0].secret: has 5 bytes, want at least 16, or allow_short: true if another program dictates it",
	"secret_short_file":              "secret_short_file.yaml:3: credentials.secrets[0].file: has 5 bytes, want at least 16, or allow_short: true if another program dictates it",
	"secret_twice":                   "secret_twice.yaml:4: credentials.secrets[1].file: this secret is the same as credentials.secrets[0].secret",
	"size":                           `size.yaml:3: signal.limits.max_message: want a number of bytes such as 65536 or 64KiB, got "64KB"`,
	"tag":                            "tag.yaml:2: turn.realm: YAML tags are not supported: quote a text that begins with an exclamation mark",
	"text_is_a_list":                 "text_is_a_list.yaml:2: turn.realm: want text, got a list",
	"acme_address":                   `acme_address.yaml:1: public_host: "203.0.113.7": an authority issues certificates for domain names only`,
	"acme_and_files":                 "acme_and_files.yaml:2: tls: has files and acme: set only one of them",
	"acme_authority":                 "acme_authority.yaml:4: tls.acme.authority: testdata/secrets/short has no certificate in PEM",
	"acme_directory":                 `acme_directory.yaml:3: tls.acme.directory: want the https URL of an ACME directory, got "http://ca.example.org"`,
	"acme_email":                     `acme_email.yaml:4: tls.acme.email: want an address such as me@example.org, got "me at example"`,
	"acme_no_name":                   "acme_no_name.yaml:1: tls.acme: needs names, or public_host",
	"tls_mismatch":                   "tls_mismatch.yaml:2: tls: testdata/tls/a.crt and testdata/tls/b.key: tls: private key does not match public key",
	"tls_no_such_file":               "tls_no_such_file.yaml:2: tls.certificate: stat none.crt: no such file or directory",
	"tls_without_key":                "tls_without_key.yaml:2: tls: key is missing",
	"tls_word":                       `tls_word.yaml:1: tls: want self-signed, acme, off or {certificate: FILE, key: FILE}, got "yes"`,
	"trusted_proxy":                  `trusted_proxy.yaml:2: http.trusted_proxies[0]: want a prefix such as 10.0.0.0/8 or an address, got "nginx"`,
	"ttl_short":                      "ttl_short.yaml:2: credentials.ttl: want 1m to 8760h, got 1s",
	"two_documents":                  "two_documents.yaml: more than one YAML document",
	"unknown_key":                    "unknown_key.yaml:3: turn.relm: unknown key (did you mean realm?)",
	"unknown_key_far":                "unknown_key_far.yaml:2: turn.zebra: unknown key",
	"unknown_key_in_list":            "unknown_key_in_list.yaml:4: turn.users[0].pasword: unknown key (did you mean password?)",
	"user_empty_password":            "user_empty_password.yaml:4: turn.users[0].password: is empty",
	"user_hidden":                    "user_hidden.yaml:4: turn.users[0].password: <hidden> stands for a secret in a printed configuration: write the secret itself",
	"user_key_too_short":             "user_key_too_short.yaml:4: turn.users[0].key: want 32 hexadecimal digits, the MD5 of name:realm:password",
	"user_no_name":                   "user_no_name.yaml:3: turn.users[0]: name is missing",
	"user_no_password":               "user_no_password.yaml:3: turn.users[0]: needs one of password, key and file",
	"user_no_such_file":              "user_no_such_file.yaml:4: turn.users[0].file: stat none.txt: no such file or directory",
	"user_password_and_key":          "user_password_and_key.yaml:3: turn.users[0]: has password and key: set only one of them",
	"user_twice":                     `user_twice.yaml:4: turn.users[1].name: "bob" is the same as turn.users[0].name`,
}

func TestBadFiles(t *testing.T) {
	files := certificates(t, "a", "b")
	names, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(names) != len(bad) {
		t.Fatalf("%d files in testdata/bad, messages for %d, %v", len(names), len(bad), err)
	}
	for name, want := range bad {
		t.Run(name, func(t *testing.T) {
			c, err := Load(Source{Path: "testdata/bad/" + name + ".yaml", ReadFile: files})
			var all Errors
			if c != nil || !errors.As(err, &all) {
				t.Fatalf("got %v, %v, want Errors", c, err)
			}
			if got := strings.ReplaceAll(err.Error(), "testdata/bad/", ""); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestAllErrorsAtOnce(t *testing.T) {
	_, err := Load(Source{
		Path:     "testdata/many_errors.yaml",
		Env:      []string{"ICEBOX_TURN_RELM=x", "ICEBOX_CREDENTIALS_TTL=1", "HOME=/root"},
		Flags:    map[string]string{"log.level": "loud"},
		ReadFile: certificates(t),
	})
	want := strings.TrimSpace(`
--log-level: log.level: want debug, info, warn or error, got "loud"
ICEBOX_CREDENTIALS_TTL: credentials.ttl: want a duration with its unit such as 90s, 10m or 24h, got "1"
ICEBOX_TURN_RELM: unknown variable (did you mean ICEBOX_TURN_REALM?)
testdata/many_errors.yaml:3: turn.relm: unknown key (did you mean realm?)
testdata/many_errors.yaml:4: turn.relay_ports: 60000-50000 is backwards: write 50000-60000
testdata/many_errors.yaml:7: turn.peers[0].allow: 10.1.0.0/8 has bits set beyond its prefix length: write 10.0.0.0/8
testdata/many_errors.yaml:9: signal.access: is key, but signal.keys is empty: nobody could sign in`)
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

// certificates returns a ReadFile that has NAME.crt and NAME.key of each name in
// memory and reads every other file from disk.
func certificates(t *testing.T, names ...string) func(string) ([]byte, os.FileMode, error) {
	t.Helper()
	made := make(map[string][]byte)
	for _, name := range names {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
		cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		private, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		made[name+".crt"] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
		made[name+".key"] = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	}
	return func(name string) ([]byte, os.FileMode, error) {
		if data, ok := made[filepath.Base(name)]; ok {
			return data, 0o600, nil
		}
		return readFile(name)
	}
}
