package contender

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// unlimited is a limit that no load reaches.
const unlimited = 1_000_000

// iceboxConfig returns the configuration file for icebox as a relay.
func iceboxConfig(s *Server, o Options, certificate, key string) string {
	lines := []string{
		fmt.Sprintf("state_dir: %q", filepath.Join(o.Dir, "state")),
		fmt.Sprintf("tls: {certificate: %q, key: %q}", certificate, key),
		"turn:",
		"  realm: " + Realm,
		"  listen:",
		fmt.Sprintf("    - {address: %q, transports: [udp, tcp]}", s.Plain),
		fmt.Sprintf("    - {address: %q, transports: [tls, dtls]}", s.Secure),
		fmt.Sprintf("  relay_addresses: [%q]", o.Address),
		fmt.Sprintf("  users: [{name: %s, password: %q}]", User, Password),
		fmt.Sprintf("  peers: [{allow: %q}]", o.Peers),
		"  limits:",
	}
	for _, limit := range []string{"allocations_per_user", "allocations_per_address", "connections", "connections_per_address"} {
		lines = append(lines, fmt.Sprintf("    %s: %d", limit, unlimited))
	}
	anyPort := netip.AddrPortFrom(o.Address, 0)
	lines = append(lines,
		fmt.Sprintf("http: {listen: [{address: %q}]}", anyPort),
		fmt.Sprintf("admin: {address: %q}", anyPort),
		"shutdown: {drain: 1s}")
	return strings.Join(lines, "\n") + "\n"
}

// coturnConfig returns the configuration file for coturn. Versions that do not know an option log
// that and continue.
func coturnConfig(s *Server, o Options, certificate, key string) string {
	lines := []string{
		"listening-ip=" + o.Address.String(),
		"relay-ip=" + o.Address.String(),
		fmt.Sprintf("listening-port=%d", s.Plain.Port()),
		fmt.Sprintf("tls-listening-port=%d", s.Secure.Port()),
		"realm=" + Realm,
		"lt-cred-mech",
		"user=" + User + ":" + Password,
		"allow-loopback-peers",
		fmt.Sprintf("allowed-peer-ip=%v-%v", o.Peers.Masked().Addr(), lastAddr(o.Peers)),
		"no-cli",
		"dtls", // off by default since 4.17
		"cert=" + certificate,
		"pkey=" + key,
		"pidfile=" + filepath.Join(o.Dir, "pid"),
		"userdb=" + filepath.Join(o.Dir, "users.db"),
		"log-file=stdout",
	}
	return strings.Join(lines, "\n") + "\n"
}

// lastAddr returns the last address of a network.
func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := range b {
		b[i] |= byte(0xFF >> min(8, max(0, p.Bits()-8*i)))
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// writeCertificate writes a self-signed certificate for a, and its key, into dir.
func writeCertificate(dir string, a netip.Addr) (certificate, key string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(7 * 24 * time.Hour),
		IPAddresses:  []net.IP{a.AsSlice()},
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	public, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return "", "", err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", err
	}
	certificate, key = filepath.Join(dir, "certificate.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{
		certificate: {Type: "CERTIFICATE", Bytes: public},
		key:         {Type: "PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			return "", "", err
		}
	}
	return certificate, key, nil
}
