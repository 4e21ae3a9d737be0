package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"icebox/cmd/icebox/statedir"
)

const (
	fileName = "self-signed.pem" // certificate and key, in one file so that they always fit together
	validity = 397 * 24 * time.Hour
	renewal  = 30 * 24 * time.Hour // before the end
	skew     = time.Hour           // for clients whose clock is slow
)

// selfSigned is the certificate in a state directory.
type selfSigned struct {
	dir   *statedir.Dir
	names []string
	now   func() time.Time

	mu      sync.Mutex
	current *tls.Certificate
}

// SelfSigned returns the source of the state directory's certificate for names, which are DNS names and IP addresses. now is the
// clock; nil means time.Now.
func SelfSigned(dir *statedir.Dir, names []string, now func() time.Time) (Source, error) {
	if now == nil {
		now = time.Now
	}
	names = slices.Clone(names)
	slices.Sort(names)
	s := &selfSigned{dir: dir, names: slices.Compact(names), now: now}
	if _, err := s.get(); err != nil {
		return nil, err
	}
	return s.get, nil
}

func (s *selfSigned) get() (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil && s.fresh(s.current.Leaf) {
		return s.current, nil
	}
	data, err := s.dir.Obtain(fileName, s.usable, s.generate)
	if err != nil {
		return nil, fmt.Errorf("self-signed certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(data, data)
	if err != nil {
		return nil, fmt.Errorf("self-signed certificate: %w", err)
	}
	s.current = &pair
	return s.current, nil
}

// usable reports whether a stored certificate can be served. A file that cannot be parsed is not usable, and may be
// overwritten.
func (s *selfSigned) usable(data []byte) (bool, error) {
	pair, err := tls.X509KeyPair(data, data)
	return err == nil && s.fresh(pair.Leaf) && slices.Equal(namesOf(pair.Leaf), s.names), nil
}

func (s *selfSigned) fresh(c *x509.Certificate) bool {
	now := s.now()
	return now.After(c.NotBefore) && now.Before(c.NotAfter.Add(-renewal))
}

func namesOf(c *x509.Certificate) []string {
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	slices.Sort(names)
	return names
}

func (s *selfSigned) generate() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := s.now()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "icebox self-signed"},
		NotBefore:             now.Add(-skew),
		NotAfter:              now.Add(validity),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, name := range s.names {
		if addr, err := netip.ParseAddr(name); err == nil {
			template.IPAddresses = append(template.IPAddresses, net.IP(addr.AsSlice()))
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, block := range []*pem.Block{{Type: "CERTIFICATE", Bytes: certificate}, {Type: "PRIVATE KEY", Bytes: private}} {
		if err := pem.Encode(&out, block); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}
