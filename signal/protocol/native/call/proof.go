package call

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"
)

// RestoreWithin is for how long after its start a process makes calls of earlier ones again.
const RestoreWithin = 10 * time.Minute

// maxEndedRestored bounds how many calls a process remembers that were made again and have ended.
const maxEndedRestored = 1 << 16

// prover issues proofs that a party was in a call, and judges those that an earlier process has issued.
type prover struct {
	secret   []byte
	instance [instanceLen]byte // tells this process from others
	deadline time.Time         // after which earlier processes' calls are history
}

const (
	instanceLen = 8
	macLen      = 16
	proofLen    = instanceLen + 1 + macLen
)

// newProver returns a prover. Without a secret no other process believes it.
func newProver(secret []byte, now time.Time) *prover {
	p := &prover{secret: secret, deadline: now.Add(RestoreWithin)}
	if len(secret) == 0 {
		p.secret = make([]byte, sha256.Size)
		_, _ = rand.Read(p.secret) // documented never to fail
	}
	_, _ = rand.Read(p.instance[:])
	return p
}

// issue returns a proof: who issued it, how many may be in the call, and a code over these and the call's ID.
func (p *prover) issue(id string, maxParties int) string {
	raw := append(p.instance[:instanceLen:instanceLen], byte(maxParties))
	return base64.RawURLEncoding.EncodeToString(append(raw, p.mac(raw, id)...))
}

// verify returns how many may be in a call that an earlier process made. A proof of this process's own is for
// a call that has ended.
func (p *prover) verify(id, proof string, now time.Time) (maxParties int, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(proof)
	if err != nil || len(raw) != proofLen || now.After(p.deadline) {
		return 0, false
	}
	claims, mac := raw[:instanceLen+1], raw[instanceLen+1:]
	if [instanceLen]byte(claims[:instanceLen]) == p.instance || !hmac.Equal(mac, p.mac(claims, id)) {
		return 0, false
	}
	return int(claims[instanceLen]), true
}

func (p *prover) mac(claims []byte, id string) []byte {
	h := hmac.New(sha256.New, p.secret)
	h.Write(claims)
	h.Write([]byte(id))
	return h.Sum(nil)[:macLen]
}
