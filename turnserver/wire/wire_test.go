package wire

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun/v2"
)

var testID = [TransactionIDSize]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}

func parse(t testing.TB, b []byte) *Message {
	t.Helper()
	m := new(Message)
	if err := Parse(b, m); err != nil {
		t.Fatalf("Parse(%x): %v", b, err)
	}
	return m
}

func TestParseRefuses(t *testing.T) {
	base := func() []byte { return NewBuilder(nil, Allocate, Request, testID).Lifetime(time.Minute).Bytes() }
	edit := func(f func([]byte) []byte) []byte { return f(base()) }
	tests := map[string]struct {
		in   []byte
		want error
	}{
		"empty":                {nil, ErrNotSTUN},
		"19 bytes":             {base()[:19], ErrNotSTUN},
		"top bits 10":          {edit(func(b []byte) []byte { b[0] |= 0x80; return b }), ErrNotSTUN},
		"top bits 11":          {edit(func(b []byte) []byte { b[0] |= 0xC0; return b }), ErrNotSTUN},
		"no cookie":            {edit(func(b []byte) []byte { b[4] = 0; return b }), ErrNotSTUN},
		"trailing bytes":       {append(base(), 0, 0, 0, 0), ErrLength},
		"short":                {base()[:24], ErrLength},
		"length not by four":   {edit(func(b []byte) []byte { b[3] = 7; return b[:27] }), ErrLength},
		"value past the end":   {edit(func(b []byte) []byte { b[23] = 5; return b }), ErrAttribute},
		"huge value":           {edit(func(b []byte) []byte { b[22], b[23] = 0xFF, 0xFF; return b }), ErrAttribute},
		"integrity of 16":      {NewBuilder(nil, Allocate, Request, testID).Attribute(AttrMessageIntegrity, make([]byte, 16)).Bytes(), ErrIntegrity},
		"wrong fingerprint":    {NewBuilder(nil, Binding, Request, testID).Attribute(AttrFingerprint, make([]byte, 4)).Bytes(), ErrFingerprint},
		"fingerprint not last": {NewBuilder(nil, Binding, Request, testID).Fingerprint().Lifetime(time.Second).Bytes(), ErrFingerprint},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if err := Parse(tt.in, new(Message)); !errors.Is(err, tt.want) {
				t.Errorf("Parse: %v, want %v", err, tt.want)
			}
		})
	}
}

func TestMethodAndClassSurvive(t *testing.T) {
	for _, method := range []Method{Binding, Allocate, Refresh, Send, Data, CreatePermission, ChannelBind, 0xFFF, 0x123} {
		for class := Request; class <= Error; class++ {
			m := parse(t, NewBuilder(nil, method, class, testID).Bytes())
			if m.Method != method || m.Class != class || m.TransactionID != testID {
				t.Errorf("method %#x class %d came back as %#x %d", method, class, m.Method, m.Class)
			}
			if want := stun.NewType(stun.Method(method), stun.MessageClass(class)).Value(); messageType(method, class) != want {
				t.Errorf("type of %#x/%d is %#x, Pion has %#x", method, class, messageType(method, class), want)
			}
		}
	}
}

// A Message hides the attributes that a receiver must ignore (RFC 8489 section 14.5).
func TestAttributesBehindIntegrityAreIgnored(t *testing.T) {
	key := []byte("key")
	raw := NewBuilder(nil, Refresh, Request, testID).Integrity(key).Text(AttrSoftware, "late").Fingerprint().Bytes()
	m := parse(t, raw)
	if m.Has(AttrSoftware) {
		t.Error("SOFTWARE behind MESSAGE-INTEGRITY is visible")
	}
	for typ := range m.Attributes() {
		t.Errorf("attribute %#x is visible", typ)
	}
	if !m.CheckIntegrity(key) || !m.Fingerprint {
		t.Error("integrity or fingerprint not accepted")
	}
}

func TestIntegrityIsHMAC(t *testing.T) {
	key, message := make([]byte, 3*sha1.BlockSize), make([]byte, 2*usualSize)
	for i := range key {
		key[i] = byte(i + 1)
	}
	for i := range message {
		message[i] = byte(i)
	}
	for k := range key {
		for _, n := range []int{0, 1, 63, 64, 100, usualSize - 1, usualSize, usualSize + 1, len(message)} {
			mac := hmac.New(sha1.New, key[:k])
			mac.Write(message[:n])
			if got := integrity(key[:k], message[:n/3], message[n/3:n]); !hmac.Equal(got[:], mac.Sum(nil)) {
				t.Fatalf("wrong for a key of %d and a message of %d bytes", k, n)
			}
		}
	}
	if n := testing.AllocsPerRun(100, func() { integrity(key[:16], message[:usualSize], nil) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestIntegrityAndFingerprintAgreeWithPion(t *testing.T) {
	key := md5.Sum([]byte("user:realm:password"))
	ours := NewBuilder(nil, Refresh, Request, testID).Text(AttrUsername, "user").Integrity(key[:]).Fingerprint().Bytes()
	pion := &stun.Message{Raw: bytes.Clone(ours)}
	if err := pion.Decode(); err != nil {
		t.Fatal(err)
	}
	if err := stun.MessageIntegrity(key[:]).Check(pion); err != nil {
		t.Errorf("Pion refuses our MESSAGE-INTEGRITY: %v", err)
	}
	if err := stun.Fingerprint.Check(pion); err != nil {
		t.Errorf("Pion refuses our FINGERPRINT: %v", err)
	}
	theirs := stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodRefresh, stun.ClassRequest),
		stun.NewUsername("user"), stun.MessageIntegrity(key[:]), stun.Fingerprint)
	m := parse(t, theirs.Raw)
	if !m.CheckIntegrity(key[:]) || !m.Fingerprint {
		t.Error("we refuse Pion's MESSAGE-INTEGRITY or FINGERPRINT")
	}
	if m.CheckIntegrity([]byte("other")) {
		t.Error("a wrong key is accepted")
	}
}

func TestXORAddress(t *testing.T) {
	for _, s := range []string{"192.0.2.1:32853", "[2001:db8:1234:5678:11:2233:4455:6677]:32853", "0.0.0.0:0"} {
		want := netip.MustParseAddrPort(s)
		m := parse(t, NewBuilder(nil, Binding, Success, testID).XORAddress(AttrXORMappedAddress, want).Bytes())
		v, _ := m.Get(AttrXORMappedAddress)
		if got, ok := m.XORAddress(v); !ok || got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	m := parse(t, NewBuilder(nil, Binding, Request, testID).Bytes())
	for _, family := range []Family{0, IPv4, IPv6, 3} {
		for size := 4; size <= 32; size++ {
			v := make([]byte, size)
			v[1] = byte(family)
			want := family == IPv4 && size == 8 || family == IPv6 && size == 20
			if _, ok := m.XORAddress(v); ok != want {
				t.Errorf("%x is an address: %v, want %v", v, ok, want)
			}
		}
	}
}

func TestDataIndication(t *testing.T) {
	for _, s := range []string{"192.0.2.1:5000", "[2001:db8::1]:5000"} {
		peer := netip.MustParseAddrPort(s)
		b := make([]byte, DataHeaderSize(peer.Addr()), 64)
		PutDataHeader(b, peer, 5)
		b = append(b, "hello\x00\x00\x00"...)
		m := parse(t, b)
		v, _ := m.Get(AttrXORPeerAddress)
		got, ok := m.XORAddress(v)
		data, _ := m.Get(AttrData)
		if m.Method != Data || m.Class != Indication || !ok || got != peer || string(data) != "hello" {
			t.Errorf("%v: %v %v %v %q", peer, m.Method, m.Class, got, data)
		}
	}
	peer, b := netip.MustParseAddrPort("[2001:db8::1]:5000"), make([]byte, DataHeader6)
	if n := testing.AllocsPerRun(100, func() { PutDataHeader(b, peer, 5) }); n != 0 {
		t.Errorf("PutDataHeader allocates %v times", n)
	}
}

func TestChannelData(t *testing.T) {
	b := make([]byte, 12)
	PutChannelHeader(b, 0x4001, 5)
	copy(b[4:], "hello")
	if n, data, ok := ChannelData(b); !ok || n != 0x4001 || string(data) != "hello" {
		t.Errorf("got %#x %q %v", n, data, ok)
	}
	for name, b := range map[string][]byte{
		"short": {0x40, 0, 0}, "longer than the datagram": {0x40, 0, 0, 1}, "number 0x8000": {0x80, 0, 0, 0}, "number 0x3fff": {0x3F, 0xFF, 0, 0},
	} {
		if _, _, ok := ChannelData(b); ok {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestFrameSize(t *testing.T) {
	header := func(typ, length uint16) []byte {
		b := make([]byte, HeaderSize)
		binary.BigEndian.PutUint16(b, typ)
		binary.BigEndian.PutUint16(b[2:], length)
		binary.BigEndian.PutUint32(b[4:], cookie)
		return b
	}
	tests := map[string]struct {
		in           []byte
		size, padded int
		err          error
	}{
		"stun":               {header(1, 8), 28, 28, nil},
		"stun, 4 bytes seen": {header(1, 8)[:4], 28, 28, nil},
		"channel data":       {header(0x4000, 5), 9, 12, nil},
		"empty channel data": {header(0x4000, 0), 4, 4, nil},
		"stun at the limit":  {header(1, 2028), 2048, 2048, nil},
		"stun above it":      {header(1, 2032), 0, 0, ErrFrame},
		"data at the limit":  {header(0x4000, 2041), 2045, 2048, nil},
		"data above it":      {header(0x4000, 2045), 0, 0, ErrFrame},
		"length not by four": {header(1, 7), 0, 0, ErrFrame},
		"no cookie":          {make([]byte, 8), 0, 0, ErrFrame},
		"tls":                {[]byte{0x16, 3, 1, 0, 200, 1, 0, 0}, 0, 0, ErrFrame},
		"http":               {[]byte("GET / HTTP/1.1\r\n"), 0, 0, ErrFrame},
		"channel 0x8000":     {header(0x8000, 8), 0, 0, ErrFrame},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			size, padded, err := FrameSize(tt.in, 2048)
			if size != tt.size || padded != tt.padded || !errors.Is(err, tt.err) {
				t.Errorf("FrameSize = %d, %d, %v", size, padded, err)
			}
		})
	}
}

// For every value of the length field, FrameSize is that value plus the size of the header.
func TestFrameSizeAddsUp(t *testing.T) {
	const limit = 1 << 20 // above every frame
	for length := 0; length < 1<<16; length += 4 {
		for first, header := range map[byte]int{0x00: HeaderSize, 0x40: ChannelHeaderSize} {
			b := []byte{first, 1, byte(length >> 8), byte(length)}
			if size, padded, err := FrameSize(b, limit); size != header+length || padded != size || err != nil {
				t.Fatalf("FrameSize(%x) = %d, %d, %v", b, size, padded, err)
			}
		}
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	raw := NewBuilder(nil, Send, Indication, testID).XORAddress(AttrXORPeerAddress, netip.MustParseAddrPort("192.0.2.1:9")).
		Attribute(AttrData, make([]byte, 1200)).Bytes()
	var m Message
	n := testing.AllocsPerRun(100, func() {
		if err := Parse(raw, &m); err != nil {
			t.Fatal(err)
		}
		for typ, v := range m.Attributes() {
			if typ == AttrXORPeerAddress {
				m.XORAddress(v)
			}
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
