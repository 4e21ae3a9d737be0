package dtlsgate

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"testing"
	"time"
)

// firstHello is the first datagram of a client.
var firstHello = hello(nil, 0, 0)

// hello is a ClientHello with a cookie.
func hello(cookie []byte, record byte, message byte) []byte {
	body := append([]byte{0xfe, 0xfd}, bytes.Repeat([]byte{0xaa}, 32)...)
	body = append(body, 2, 's', 'i')
	body = append(body, byte(len(cookie)))
	body = append(body, cookie...)
	body = append(body, 0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0)
	body = append(body, 0, 4, 0, 23, 0, 0)
	b := []byte{22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, record}
	b = binary.BigEndian.AppendUint16(b, uint16(messageHeader+len(body)))
	b = append(b, 1, 0, 0, byte(len(body)), 0, message, 0, 0, 0, 0, 0, byte(len(body)))
	return append(b, body...)
}

var (
	client = netip.MustParseAddrPort("192.0.2.7:4000")
	begin  = time.Unix(1e9, 0)
)

func parse(t testing.TB, b []byte) *Hello {
	t.Helper()
	h, ok := Parse(b)
	if !ok {
		t.Fatalf("no ClientHello: %x", b)
	}
	return h
}

func newGate(t testing.TB) *Gate {
	t.Helper()
	g, err := New(begin)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// answer is the ClientHello of a client that got the challenge.
func answer(challenge []byte) []byte { return hello(challenge[len(challenge)-CookieSize:], 1, 1) }

func TestCookie(t *testing.T) {
	g := newGate(t)
	first := parse(t, firstHello)
	now := begin.Add(100 * time.Second)
	challenge := g.Challenge(first, client, now)
	if len(challenge) > len(firstHello) || !IsChallenge(challenge) {
		t.Fatalf("challenge %x", challenge)
	}
	second := answer(challenge)
	if g.Valid(first, client, now) {
		t.Error("a hello without a cookie is valid")
	}
	valid := func(b []byte, from netip.AddrPort, at time.Time) bool { return g.Valid(parse(t, b), from, at) }
	changed := bytes.Clone(second)
	changed[recordHeader+messageHeader+5] ^= 1 // of the random bytes
	suites := bytes.Clone(second)
	suites[len(suites)-9] ^= 1
	forged := bytes.Clone(second)
	forged[recordHeader+messageHeader+versionAndRandom+3+1+10] ^= 1 // of the cookie
	for name, tt := range map[string]struct {
		hello []byte
		from  netip.AddrPort
		at    time.Time
		want  bool
	}{
		"at once":           {second, client, now, true},
		"a minute later":    {second, client, now.Add(cookieLifetime - time.Second), true},
		"too late":          {second, client, now.Add(cookieLifetime), false},
		"from another port": {second, netip.AddrPortFrom(client.Addr(), 4001), now, false},
		"from elsewhere":    {second, netip.MustParseAddrPort("192.0.2.8:4000"), now, false},
		"another random":    {changed, client, now, false},
		"other suites":      {suites, client, now, false},
		"a forged cookie":   {forged, client, now, false},
		"a short cookie":    {hello([]byte{1, 2, 3}, 1, 1), client, now, false},
	} {
		if got := valid(tt.hello, tt.from, tt.at); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if newGate(t).Valid(parse(t, second), client, now) {
		t.Error("another gate takes the cookie")
	}
}

func TestFirst(t *testing.T) {
	g := newGate(t)
	second := answer(g.Challenge(parse(t, firstHello), client, begin))
	if got := parse(t, second).First(); !bytes.Equal(got, firstHello) {
		t.Errorf("got\n%s want\n%s", hex.Dump(got), hex.Dump(firstHello))
	}
	zero := parse(t, hello(make([]byte, CookieSize), 0, 1)).First()
	if bytes.Equal(zero[3:11], make([]byte, 8)) {
		t.Error("the number of the record to come")
	}
}

func TestParseRefuses(t *testing.T) {
	edit := func(at int, value byte) []byte {
		b := bytes.Clone(firstHello)
		b[at] = value
		return b
	}
	for name, b := range map[string][]byte{
		"nothing":             nil,
		"a header":            firstHello[:recordHeader],
		"cut short":           firstHello[:len(firstHello)-1],
		"application data":    edit(0, 23),
		"epoch 1":             edit(4, 1),
		"a ServerHello":       edit(recordHeader, 2),
		"the rest of a hello": edit(recordHeader+8, 1),
		"a part of a hello":   edit(recordHeader+11, 10),
		"a longer one":        edit(recordHeader+3, 200),
		"session id too long": edit(recordHeader+messageHeader+versionAndRandom, 200),
		"cookie too long":     edit(recordHeader+messageHeader+versionAndRandom+3, 200),
		"suites too long":     edit(recordHeader+messageHeader+versionAndRandom+4, 200),
	} {
		if h, ok := Parse(b); ok {
			t.Errorf("%s: %+v", name, h)
		}
	}
}

func TestSealed(t *testing.T) {
	plain := []byte{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 13, 16, 0, 0, 9, 0, 5, 0, 0, 0, 0, 0, 1, 7} // part of a handshake
	data := []byte{23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 3}
	finished := []byte{22, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 2, 0, 3, 4, 5, 6}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for name, tt := range map[string]struct {
		datagram, want []byte
		handshake      int
	}{
		"data":                {data, data, 0},
		"plain":               {plain, nil, 0},
		"plain behind data":   {join(data, plain), data, 0},
		"data behind plain":   {join(plain, data), data, 0},
		"the end of a flight": {join(firstHello, plain, finished), finished, len(finished)},
		"broken behind data":  {join(data, data[:13]), data, 0},
		"nothing":             {nil, nil, 0},
	} {
		got, n := Sealed(bytes.Clone(tt.datagram))
		if !bytes.Equal(got, tt.want) || n != tt.handshake {
			t.Errorf("%s: %x with %d bytes of handshake", name, got, n)
		}
	}
}

// No datagram makes Parse read outside of it, and First restores the hello that had no cookie.
func FuzzParse(f *testing.F) {
	f.Add(firstHello)
	f.Add(hello(make([]byte, CookieSize), 1, 1))
	f.Add([]byte{23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 3})
	g := newGate(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		IsChallenge(b)
		if sealed, n := Sealed(bytes.Clone(b)); n > len(sealed) || len(sealed) > len(b) {
			t.Fatalf("%d of %d bytes", n, len(sealed))
		}
		h, ok := Parse(b)
		if !ok {
			return
		}
		if g.Valid(h, client, begin) {
			t.Fatal("a valid cookie out of nothing")
		}
		first, ok := Parse(h.First())
		if !ok || len(first.Cookie) != 0 || first.Random() != h.Random() {
			t.Fatalf("First: %x", h.First())
		}
		if len(h.Cookie) == 0 {
			c := g.Challenge(h, client, begin)
			if len(c) != recordHeader+messageHeader+2+1+CookieSize || !IsChallenge(c) {
				t.Fatalf("challenge %x", c)
			}
		}
	})
}

// A client that supports only DTLS 1.0 is refused at once, in a record with the number that it expects.
func TestOutdated(t *testing.T) {
	old := hello(nil, 0, 0)
	if parse(t, old).Outdated() {
		t.Error("DTLS 1.2 is outdated")
	}
	old[recordHeader+messageHeader+1] = 0xff
	h := parse(t, old)
	want := append([]byte{21, 0xfe, 0xff}, old[3:11]...)
	want = append(want, 0, 2, 2, 70)
	if !h.Outdated() || !bytes.Equal(h.Refusal(), want) {
		t.Errorf("refusal %x, want %x", h.Refusal(), want)
	}
}
