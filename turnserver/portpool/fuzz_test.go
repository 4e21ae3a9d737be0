package portpool

import (
	"math/rand/v2"
	"testing"
)

// FuzzPool compares a pool with a set of free ports, one byte for each step.
func FuzzPool(f *testing.F) {
	f.Add(uint16(50001), uint16(9), []byte{0, 1, 2, 3, 4, 2, 2, 2, 2, 0, 0, 0, 0, 131, 132})
	f.Add(uint16(65530), uint16(200), []byte{2, 2, 2, 2, 1, 0, 0, 0, 0, 255, 254, 253})
	f.Add(uint16(0), uint16(3), []byte{0, 0, 0, 0, 0, 130, 131, 2, 1})
	f.Fuzz(func(t *testing.T, first, span uint16, steps []byte) {
		span %= 300
		last := uint16(min(int(first)+int(span), 65535))
		p := New(first, last, rand.NewPCG(uint64(first), uint64(span)))
		free := make(map[uint16]bool)
		for port := max(int(first), 1); port <= int(last); port++ {
			free[uint16(port)] = true
		}
		anyEven := func(pair bool) bool {
			for port := range free {
				if port%2 == 0 && (!pair || free[port+1]) {
					return true
				}
			}
			return false
		}
		expect := func(what string, port uint16, ok, want bool) {
			t.Helper()
			if ok != want || ok && !free[port] {
				t.Fatalf("%s: port %d, %t; want %t of %v", what, port, ok, want, free)
			}
			if ok {
				delete(free, port)
			}
		}
		for _, s := range steps {
			port := first + uint16(s>>2)%(span+2) // sometimes one beyond the end
			switch s & 3 {
			case 0:
				port, ok := p.Take()
				expect("take", port, ok, len(free) > 0)
			case 1:
				port, ok := p.TakeEven()
				expect("take even", port, ok, anyEven(false))
			case 2:
				want := anyEven(true)
				port, ok := p.TakePair()
				expect("take even of pair", port, ok, want)
				expect("take odd of pair", port+1, ok, want)
			case 3:
				if s&4 != 0 {
					expect("take port", port, p.TakePort(port), free[port])
					break
				}
				want := port != 0 && port >= first && port <= last && !free[port]
				if p.Put(port) != want {
					t.Fatalf("put %d: want %t", port, want)
				}
				if want {
					free[port] = true
				}
			}
			if p.Free() != len(free) {
				t.Fatalf("%d ports free, want %d", p.Free(), len(free))
			}
		}
	})
}
