package tally

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestMarkSurvives(t *testing.T) {
	want := Mark{Run: 0xDEADBEEF, Flow: 7, Seq: 1 << 31, Sent: -5}
	b := make([]byte, MarkSize+3)
	want.Put(b)
	if got, ok := ReadMark(b); !ok || got != want {
		t.Errorf("read %+v, %v", got, ok)
	}
	if _, ok := ReadMark(b[:MarkSize-1]); ok {
		t.Error("ReadMark decoded a mark from too few bytes")
	}
}

func TestFlow(t *testing.T) {
	cases := map[string]struct {
		sent int
		seqs []uint64
		want Flow
		lost uint64
	}{
		"all in order":            {3, []uint64{0, 1, 2}, Flow{Sent: 3, Received: 3}, 0},
		"none arrives":            {3, nil, Flow{Sent: 3}, 3},
		"one lost":                {3, []uint64{0, 2}, Flow{Sent: 3, Received: 2}, 1},
		"duplicate":               {2, []uint64{0, 0, 1}, Flow{Sent: 2, Received: 2, Duplicates: 1}, 0},
		"one overtaken":           {3, []uint64{1, 0, 2}, Flow{Sent: 3, Received: 3, Reordered: 1}, 0},
		"overtaken and duplicate": {3, []uint64{2, 0, 0, 1}, Flow{Sent: 3, Received: 3, Reordered: 2, Duplicates: 1}, 0},
		"never sent":              {2, []uint64{0, 2, 1 << 40}, Flow{Sent: 2, Received: 1}, 1},
		"oldest in the window":    {2000, []uint64{1500, 1501 - window}, Flow{Sent: 2000, Received: 2, Reordered: 1}, 1998},
		"older than the window":   {2000, []uint64{1500, 1500 - window}, Flow{Sent: 2000, Received: 1, Stale: 1}, 1999},
		"after a long gap":        {9000, []uint64{0, 8000, 8000, 7999}, Flow{Sent: 9000, Received: 3, Duplicates: 1, Reordered: 1}, 8997},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var f Flow
			for range c.sent {
				f.NextSeq()
			}
			for _, seq := range c.seqs {
				f.CountArrival(seq)
			}
			if d := cmp.Diff(c.want, f, cmpopts.IgnoreUnexported(Flow{})); d != "" || f.Lost() != c.lost {
				t.Errorf("lost %d, want %d; -want +got:\n%s", f.Lost(), c.lost, d)
			}
		})
	}
}

// The flow's counts must equal those of a model that remembers all numbers in a set, when the
// network drops, duplicates and delays packets.
func TestFlowAgainstASet(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	var f Flow
	set := make(map[uint64]bool)
	var held []uint64
	var duplicates uint64
	arrive := func(seq uint64) {
		if set[seq] {
			duplicates++
		}
		if f.CountArrival(seq) == set[seq] {
			t.Fatalf("packet %d: CountArrival disagrees with the set, which has it: %v", seq, set[seq])
		}
		set[seq] = true
	}
	for range 20000 {
		seq := f.NextSeq()
		switch rnd.IntN(10) {
		case 0: // the network drops it
		case 1:
			held = append(held, seq)
		case 2:
			arrive(seq)
			arrive(seq)
		default:
			arrive(seq)
		}
		if len(held) > 5 {
			arrive(held[0])
			held = held[1:]
		}
	}
	if f.Received != uint64(len(set)) || f.Duplicates != duplicates || f.Stale != 0 || f.Lost() != 20000-uint64(len(set)) {
		t.Errorf("flow %+v, want %d received, %d duplicates", f, len(set), duplicates)
	}
}
