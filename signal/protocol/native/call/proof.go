package call

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"
)

// RestoreWithin is for how long after its start a process restores the calls of earlier processes.
const RestoreWithin = 10 * time.Minute

// maxEndedRestored is how many ended calls a process remembers as restored. When that many have ended, it restores no more
// calls, because it could not know whether they have ended.
const maxEndedRestored = 1 << 16

// prover issues proofs that a party was in a call, and verifies the proofs of earlier processes.
type prover struct {
	secret   []byte
	instance [instanceLen]byte // random; distinguishes this process from others
	deadline time.Time         // when restoring calls ends
}

const (
	instanceLen = 8
	macLen      = 16
	proofLen    = instanceLen + 1 + macLen
)

// newProver returns a prover for a process that starts at now. If secret is empty, the prover makes up a random one, and
// no other process accepts its proofs.
func newProver(secret []byte, now time.Time) *prover {
	p := &prover{secret: secret, deadline: now.Add(RestoreWithin)}
	if len(secret) == 0 {
		p.secret = make([]byte, sha256.Size)
		_, _ = rand.Read(p.secret) // documented never to fail
	}
	_, _ = rand.Read(p.instance[:])
	return p
}

// issue returns a proof: in base64, the instance of this process, the maximum number of parties in one byte, and a
// message authentication code (MAC) over both and the call's ID.
func (p *prover) issue(id string, maxParties int) string {
	raw := append(p.instance[:instanceLen:instanceLen], byte(maxParties))
	return base64.RawURLEncoding.EncodeToString(append(raw, p.mac(raw, id)...))
}

// verify checks a proof for the call with this ID and returns the call's maximum number of parties. It rejects proofs that
// this process has issued, because a call that this process no longer has must have ended.
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

// mac returns the MAC over the claims of a proof (instance and maximum) and the call's ID.
func (p *prover) mac(claims []byte, id string) []byte {
	h := hmac.New(sha256.New, p.secret)
	h.Write(claims)
	h.Write([]byte(id))
	return h.Sum(nil)[:macLen]
}
