package portpool

import "testing"

func BenchmarkTakePut(b *testing.B) {
	p := New(49152, 65535, nil)
	b.ReportAllocs()
	for b.Loop() {
		port, _ := p.Take()
		p.Put(port)
	}
}

func BenchmarkTakePair(b *testing.B) {
	p := New(49152, 65535, nil)
	b.ReportAllocs()
	for b.Loop() {
		even, _ := p.TakePair()
		p.Put(even)
		p.Put(even + 1)
	}
}

// BenchmarkLastPair measures the longest search: only one of all even ports is free, so there is only one pair.
func BenchmarkLastPair(b *testing.B) {
	p := lonely(b, 1, 65535, 32768)
	b.ReportAllocs()
	for b.Loop() {
		even, _ := p.TakePair()
		p.Put(even + 1)
		p.Put(even)
	}
}

func BenchmarkNoPair(b *testing.B) {
	p := lonely(b, 1, 65535, 32768)
	p.TakePair()
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := p.TakePair(); ok {
			b.Fatal("took a pair")
		}
	}
}
