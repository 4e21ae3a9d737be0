package quantile

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestQuantilesAreAccurate(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	draw := map[string]func() time.Duration{
		"constant":    func() time.Duration { return 123456 * time.Nanosecond },
		"small":       func() time.Duration { return time.Duration(rnd.IntN(300)) },
		"uniform":     func() time.Duration { return time.Duration(rnd.IntN(5_000_000)) },
		"exponential": func() time.Duration { return time.Duration(rnd.ExpFloat64() * 1e6) },
	}
	for name, next := range draw {
		t.Run(name, func(t *testing.T) {
			var h Histogram
			var all []time.Duration
			for range 20000 {
				d := next()
				h.Record(d)
				all = append(all, d)
			}
			slices.Sort(all)
			for _, q := range []float64{0, 0.5, 0.9, 0.99, 0.999, 1} {
				want := all[min(int(q*float64(len(all))), len(all)-1)]
				if got := h.Quantile(q); (got - want).Abs() > want/128+1 {
					t.Errorf("quantile %v is %v, want about %v", q, got, want)
				}
			}
			if h.Max() != all[len(all)-1] || h.Count() != 20000 {
				t.Errorf("max %v of %d, want %v", h.Max(), h.Count(), all[len(all)-1])
			}
		})
	}
}

func TestExtremes(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 || h.Max() != 0 {
		t.Errorf("an empty histogram has quantile %v, max %v", h.Quantile(0.5), h.Max())
	}
	h.Record(-time.Second)
	if h.Quantile(0.5) != 0 {
		t.Errorf("a negative duration counts as %v", h.Quantile(0.5))
	}
	h.Reset()
	h.Record(time.Hour)
	if got := h.Quantile(0.5); got < 68*time.Second || got > 69*time.Second {
		t.Errorf("one hour counts as %v, want 68 s", got)
	}
	if h.Max() != time.Hour {
		t.Errorf("max %v, want an hour", h.Max())
	}
}

func TestBucketsAreContiguous(t *testing.T) {
	for i := 1; i < buckets; i++ {
		if bucket(midpoint(i)) != i || midpoint(i) <= midpoint(i-1) {
			t.Fatalf("the midpoint of bucket %d is %v, which belongs to bucket %d", i, midpoint(i), bucket(midpoint(i)))
		}
	}
}

func TestMerge(t *testing.T) {
	var a, b Histogram
	for i := range 100 {
		a.Record(time.Duration(i))
		b.Record(time.Duration(100 + i))
	}
	a.Merge(&b)
	if a.Count() != 200 || a.Quantile(0.5) != 100 || a.Max() != 199 {
		t.Errorf("count %d, median %v, max %v", a.Count(), a.Quantile(0.5), a.Max())
	}
}

func TestRecordAllocatesNothing(t *testing.T) {
	var h Histogram
	if n := testing.AllocsPerRun(100, func() { h.Record(time.Millisecond) }); n != 0 {
		t.Errorf("Record allocates %v times", n)
	}
}
