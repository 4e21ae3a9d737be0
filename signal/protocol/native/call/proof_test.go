package call

import (
	"encoding/base64"
	"testing"
	"testing/synctest"
	"time"

	"icebox/signal"
)

// proof adds p to a call and returns the proof that p gets.
func (r *Registry) proof(t *testing.T, p Party, id string, pass Pass) (proof string) {
	t.Helper()
	must(t, r.Join(p, id, pass, func(i Info) { proof = i.Proof }))
	return proof
}

// The parties of a call continue it in the next process, and in the one after that.
func TestRestore(t *testing.T) {
	al, bo, cy := newPerson("al"), newPerson("bo"), newPerson("cy")
	first := newRegistry(t, func(l *signal.CallLimits) { l.Parties = 3 })
	var created Info
	must(t, first.Create(al, 3, func(i Info) { created = i }))
	boProof := first.proof(t, bo, created.ID, Pass{})

	second := newRegistry(t, func(l *signal.CallLimits) { l.Parties = 3 })
	wantErr(t, second.Join(bo, created.ID, Pass{}, nothing), signal.ErrNoSuchCall) // knowing the ID is not enough
	must(t, second.Check(bo, created.ID, Pass{Proof: boProof}))
	var restored Info
	must(t, second.Join(bo, created.ID, Pass{Proof: boProof}, func(i Info) { restored = i }))
	if restored.Max != 3 || len(restored.Others) != 0 || restored.Proof == "" || restored.Proof == boProof {
		t.Errorf("bo restored the call as %+v, want one for 3 parties, without others, with a new proof", restored)
	}
	alProof := second.proof(t, al, created.ID, Pass{Proof: created.Proof})
	must(t, second.Join(cy, created.ID, Pass{}, nothing)) // once it is restored, anybody can join it by its ID
	bo.wants(t, "joined al", "joined cy")

	third := newRegistry(t)
	must(t, third.Join(al, created.ID, Pass{Proof: alProof}, func(i Info) { restored = i }))
	if restored.Max != 2 {
		t.Errorf("the restored call is for at most %d parties, want 2, the limit of the third process", restored.Max)
	}
}

// A call is not restored if it has ended in the process that is asked, or if the proof is not a genuine one for that call.
func TestCallIsNotRestored(t *testing.T) {
	al, bo := newPerson("al"), newPerson("bo")
	first := newRegistry(t)
	var created, other Info
	must(t, first.Create(al, 2, func(i Info) { created = i }))
	must(t, first.Create(al, 2, func(i Info) { other = i }))
	must(t, first.Hangup(al, created.ID))
	wantErr(t, first.Join(bo, created.ID, Pass{Proof: created.Proof}, nothing), signal.ErrNoSuchCall)

	second := newRegistry(t)
	raw, _ := base64.RawURLEncoding.DecodeString(created.Proof)
	raw[instanceLen]++
	for name, proof := range map[string]string{
		"no proof": "", "invalid base64": "=", "a truncated proof": created.Proof[:20], "the proof of another call": other.Proof,
		"a proof for more parties": base64.RawURLEncoding.EncodeToString(raw),
	} {
		if err := second.Check(bo, created.ID, Pass{Proof: proof}); err == nil {
			t.Errorf("%s restores the call", name)
		}
	}
	stranger, err := New(Options{Limits: second.limits, Secret: []byte("other")})
	must(t, err)
	wantErr(t, stranger.Check(bo, created.ID, Pass{Proof: created.Proof}), signal.ErrNoSuchCall)

	must(t, second.Join(bo, created.ID, Pass{Proof: created.Proof}, nothing))
	must(t, second.Hangup(bo, created.ID))
	wantErr(t, second.Join(al, created.ID, Pass{Proof: created.Proof}, nothing), signal.ErrNoSuchCall)
}

// A process restores calls for RestoreWithin after its start.
func TestRestoreWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		al := newPerson("al")
		var created Info
		must(t, newRegistry(t).Create(al, 2, func(i Info) { created = i }))
		second := newRegistry(t)
		<-time.After(RestoreWithin)
		must(t, second.Check(al, created.ID, Pass{Proof: created.Proof}))
		<-time.After(time.Second)
		wantErr(t, second.Check(al, created.ID, Pass{Proof: created.Proof}), signal.ErrNoSuchCall)
	})
}

// The parties of a reserved call get no proof. They don't need one, because joining creates the call.
func TestReservedCallHasNoProof(t *testing.T) {
	al := newPerson("al")
	if p := newRegistry(t).proof(t, al, "room", Pass{Listed: true}); p != "" {
		t.Errorf("a reserved call has the proof %q", p)
	}
}

func FuzzProof(f *testing.F) {
	p := newProver([]byte("s"), time.Now())
	f.Add("id", p.issue("id", 2))
	f.Add("", "")
	f.Fuzz(func(t *testing.T, id, proof string) {
		if _, ok := p.verify(id, proof, time.Now()); ok {
			t.Errorf("the proof %q is accepted for the call %q", proof, id)
		}
	})
}
