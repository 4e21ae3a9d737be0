package token

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
)

// Key is a key that verifies signatures.
type Key struct {
	// ID is the key ID ("kid") of the tokens that the key is for. If it is empty, the key is for all tokens.
	ID string
	// Key is a secret as a []byte, *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey.
	Key any
}

// minRSA is the length of the shortest accepted RSA key, in bits.
const minRSA = 2048

// algorithm returns the only algorithm that the key may be used with, or an error that says why the key is unusable.
func (k Key) algorithm() (string, error) {
	switch key := k.Key.(type) {
	case []byte:
		if len(key) < minSecretBytes {
			return "", fmt.Errorf("a secret of %d bytes is too short: HS256 requires %d bytes", len(key), minSecretBytes)
		}
		return "HS256", nil
	case *rsa.PublicKey:
		if key.N.BitLen() < minRSA {
			return "", fmt.Errorf("an RSA key of %d bits is too short: at least %d bits are required", key.N.BitLen(), minRSA)
		}
		return "RS256", nil
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() {
			return "", errors.New("an elliptic curve key must be on curve P-256")
		}
		return "ES256", nil
	case ed25519.PublicKey:
		return "EdDSA", nil
	default:
		return "", fmt.Errorf("a %T is not a supported type of key", key)
	}
}

// Parse parses PEM blocks with public keys or certificates, a JSON Web Key Set, or a single JSON Web Key. It ignores unusable
// keys of a set. It returns an error for an unusable PEM block, or if there is no usable key. PEM blocks with private keys are
// refused, because such keys do not belong on this server.
func Parse(data []byte) ([]Key, error) {
	if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && trimmed[0] == '{' {
		keys, err := parseSet(trimmed, true)
		if err == nil && len(keys) == 0 {
			err = errors.New("the set contains no usable key")
		}
		return keys, err
	}
	var keys []Key
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		key, err := parseBlock(block)
		if err != nil {
			return nil, err
		}
		k := Key{Key: key}
		if _, err := k.algorithm(); err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.New("the data is neither PEM nor a JSON Web Key Set")
	}
	return keys, nil
}

func parseBlock(b *pem.Block) (any, error) {
	switch b.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(b.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(b.Bytes)
	case "CERTIFICATE":
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, err
		}
		return c.PublicKey, nil
	default:
		return nil, fmt.Errorf("a PEM block %q does not contain a public key", b.Type)
	}
}

// jwk is a JSON Web Key (RFC 7517, RFC 7518 section 6, RFC 8037 section 2).
type jwk struct {
	Type  string `json:"kty"`
	ID    string `json:"kid"`
	Use   string `json:"use"`
	Alg   string `json:"alg"`
	Curve string `json:"crv"`
	X     string `json:"x"`
	Y     string `json:"y"`
	N     string `json:"n"`
	E     string `json:"e"`
	K     string `json:"k"`
}

// parseSet returns the usable keys of a set, or of a single key. It ignores all others, as RFC 7517 section 5 requires.
// Symmetric keys are usable if allowSecrets is set.
func parseSet(data []byte, allowSecrets bool) ([]Key, error) {
	var set struct {
		jwk
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("parse a key set: %w", err)
	}
	all := []jwk{set.jwk}
	if set.Keys != nil {
		all = nil
	}
	for _, raw := range set.Keys {
		var k jwk
		if json.Unmarshal(raw, &k) == nil {
			all = append(all, k)
		}
	}
	var keys []Key
	for _, j := range all {
		key, ok := j.key()
		if !ok || j.Use != "" && j.Use != "sig" || j.Type == "oct" && !allowSecrets {
			continue
		}
		k := Key{ID: j.ID, Key: key}
		if alg, err := k.algorithm(); err == nil && (j.Alg == "" || j.Alg == alg) {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

// key decodes the key. It returns false if the type is unsupported or a parameter is invalid.
func (j jwk) key() (key any, ok bool) {
	x, okX := decodeBase64(j.X)
	switch j.Type {
	case "oct":
		return decodeBase64(j.K)
	case "OKP":
		return ed25519.PublicKey(x), okX && j.Curve == "Ed25519" && len(x) == ed25519.PublicKeySize
	case "EC":
		y, okY := decodeBase64(j.Y)
		if !okX || !okY || j.Curve != "P-256" || len(x) != 32 || len(y) != 32 {
			return nil, false
		}
		point, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
		return point, err == nil
	case "RSA":
		n, okN := decodeBase64(j.N)
		e, okE := decodeBase64(j.E)
		if !okN || !okE || len(e) > 4 || len(n) > 1024 {
			return nil, false
		}
		exponent := new(big.Int).SetBytes(e).Int64()
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent)}, exponent > 2 && exponent%2 == 1
	default:
		return nil, false
	}
}

func decodeBase64(s string) ([]byte, bool) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	return b, err == nil && len(b) > 0
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}
