package call

import (
	"encoding/base64"
	"testing"
	"testing/synctest"
	"time"

	"icebox/signal"
)

// proof joins a call and returns what the party may show to the next process.
func (r *Registry) proof(t *testing.T, p Party, id string, pass Pass) (proof string) {
	t.Helper()
	must(t, r.Join(p, id, pass, func(i Info) { proof = i.Proof }))
	return proof
}

// TestRestore has the parties of a call go on with it in the next process, and in the one after that.
func TestRestore(t *testing.T) {
	al, bo, cy := newPerson("al"), newPerson("bo"), newPerson("cy")
	first := newRegistry(t, func(l *signal.CallLimits) { l.Parties = 3 })
	var of Info
	must(t, first.Create(al, 3, func(i Info) { of = i }))
	bos := first.proof(t, bo, of.ID, Pass{})

	second := newRegistry(t, func(l *signal.CallLimits) { l.Parties = 3 })
	wantErr(t, second.Join(bo, of.ID, Pass{}, nothing), signal.ErrNoSuchCall) // knowing the ID is not enough
	must(t, second.Check(bo, of.ID, Pass{Proof: bos}))
	var again Info
	must(t, second.Join(bo, of.ID, Pass{Proof: bos}, func(i Info) { again = i }))
	if again.Max != 3 || len(again.Others) != 0 || again.Proof == "" || again.Proof == bos {
		t.Errorf("bo is told %+v", again)
	}
	als := second.proof(t, al, of.ID, Pass{Proof: of.Proof})
	must(t, second.Join(cy, of.ID, Pass{}, nothing)) // as into any call
	bo.wants(t, "joined al", "joined cy")

	third := newRegistry(t)
	must(t, third.Join(al, of.ID, Pass{Proof: als}, func(i Info) { again = i }))
	if again.Max != 2 {
		t.Errorf("at most %d may be in the call, want as many as the limit is now", again.Max)
	}
}

// TestRestoreRefused has what doesn't make a call again.
func TestRestoreRefused(t *testing.T) {
	al, bo := newPerson("al"), newPerson("bo")
	first := newRegistry(t)
	var of, other Info
	must(t, first.Create(al, 2, func(i Info) { of = i }))
	must(t, first.Create(al, 2, func(i Info) { other = i }))
	must(t, first.Hangup(al, of.ID))
	wantErr(t, first.Join(bo, of.ID, Pass{Proof: of.Proof}, nothing), signal.ErrNoSuchCall)

	second := newRegistry(t)
	raw, _ := base64.RawURLEncoding.DecodeString(of.Proof)
	raw[instanceLen]++
	for what, proof := range map[string]string{
		"nothing": "", "garbage": "=", "cut short": of.Proof[:20], "another call's": other.Proof,
		"more parties": base64.RawURLEncoding.EncodeToString(raw),
	} {
		if err := second.Check(bo, of.ID, Pass{Proof: proof}); err == nil {
			t.Errorf("%s makes the call again", what)
		}
	}
	stranger, err := New(Options{Limits: second.limits, Secret: []byte("other")})
	must(t, err)
	wantErr(t, stranger.Check(bo, of.ID, Pass{Proof: of.Proof}), signal.ErrNoSuchCall)

	must(t, second.Join(bo, of.ID, Pass{Proof: of.Proof}, nothing))
	must(t, second.Hangup(bo, of.ID))
	wantErr(t, second.Join(al, of.ID, Pass{Proof: of.Proof}, nothing), signal.ErrNoSuchCall)
}

func TestRestoreInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		al := newPerson("al")
		var of Info
		must(t, newRegistry(t).Create(al, 2, func(i Info) { of = i }))
		second := newRegistry(t)
		<-time.After(RestoreWithin)
		must(t, second.Check(al, of.ID, Pass{Proof: of.Proof}))
		<-time.After(time.Second)
		wantErr(t, second.Check(al, of.ID, Pass{Proof: of.Proof}), signal.ErrNoSuchCall)
	})
}

// TestRestoreReserved: who has a token that lists a call needs no proof, and who hasn't gets none.
func TestRestoreReserved(t *testing.T) {
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
			t.Errorf("%q is believed for %q", proof, id)
		}
	})
}
