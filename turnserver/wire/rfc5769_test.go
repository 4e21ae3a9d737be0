package wire

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
)

// The test vectors of RFC 5769. Some of them pad with spaces, which is allowed, but a Builder pads with zeros. For
// those the test signs the vector's own attributes.
const (
	shortTermRequest = `000100582112a442b7e7a701bc34d686fa87dfae
		80220010 5354554e207465737420636c69656e74
		00240004 6e0001ff
		80290008 932ff9b151263b36
		00060009 6576746a3a68367659202020
		00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2
		80280004 e57a3bcf`
	responseV4 = `0101003c2112a442b7e7a701bc34d686fa87dfae
		8022000b 7465737420766563746f7220
		00200008 0001a147e112a643
		00080014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7
		80280004 c07d4c96`
	responseV6 = `010100482112a442b7e7a701bc34d686fa87dfae
		8022000b 7465737420766563746f7220
		00200014 0002a1470113a9faa5d3f179bc25f4b5bed2b9d9
		00080014 a382954e4be67bf11784c97c8292c275bfe3ed41
		80280004 c8fb0b4c`
	longTermRequest = `000100602112a44278ad3433c6ad72c029da412e
		00060012 e3839ee38388e383aae38383e382afe382b90000
		0015001c 662f2f3439396b39353464364f4c33346f4c394653547679363473 41
		0014000b 6578616d706c652e6f726700
		00080014 f67024656dd64a3e02b8e0712e85c9a28ca89666`

	shortTermKey = "VOkJxbRl1RmTxUk/WvJxBt"
)

func vector(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRFC5769(t *testing.T) {
	matrix := md5.Sum([]byte("マトリックス:example.org:TheMatrIX"))
	tests := map[string]struct {
		message     string
		key         []byte
		class       Class
		fingerprint bool
		text        map[AttrType]string
		mapped      string
	}{
		"2.1 request": {
			shortTermRequest, []byte(shortTermKey), Request, true,
			map[AttrType]string{AttrSoftware: "STUN test client", AttrUsername: "evtj:h6vY"}, "",
		},
		"2.2 IPv4 response": {
			responseV4, []byte(shortTermKey), Success, true,
			map[AttrType]string{AttrSoftware: "test vector"}, "192.0.2.1:32853",
		},
		"2.3 IPv6 response": {
			responseV6, []byte(shortTermKey), Success, true,
			map[AttrType]string{AttrSoftware: "test vector"}, "[2001:db8:1234:5678:11:2233:4455:6677]:32853",
		},
		"2.4 long-term request": {
			longTermRequest, matrix[:], Request, false,
			map[AttrType]string{AttrUsername: "マトリックス", AttrNonce: "f//499k954d6OL34oL9FSTvy64sA", AttrRealm: "example.org"}, "",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			raw := vector(t, tt.message)
			m := parse(t, raw)
			if m.Method != Binding || m.Class != tt.class || m.Fingerprint != tt.fingerprint {
				t.Errorf("method %v, class %v, fingerprint %v", m.Method, m.Class, m.Fingerprint)
			}
			for typ, want := range tt.text {
				if got, _ := m.Get(typ); string(got) != want {
					t.Errorf("attribute %#x: %q, want %q", uint16(typ), got, want)
				}
			}
			if tt.mapped != "" {
				value, _ := m.Get(AttrXORMappedAddress)
				if got, ok := m.XORAddress(value); !ok || got != netip.MustParseAddrPort(tt.mapped) {
					t.Errorf("mapped address %v, want %s", got, tt.mapped)
				}
			}
			if !m.CheckIntegrity(tt.key) {
				t.Error("MESSAGE-INTEGRITY does not verify")
			}
			if m.CheckIntegrity(append([]byte("x"), tt.key...)) {
				t.Error("MESSAGE-INTEGRITY verifies under another key")
			}
			b := (&Builder{buf: bytes.Clone(raw[:m.integrity])}).Integrity(tt.key)
			if tt.fingerprint {
				b.Fingerprint()
			}
			if got := b.Bytes(); !bytes.Equal(got, raw) {
				t.Errorf("signed:\n%x, want\n%x", got, raw)
			}
		})
	}
}

// One vector is padded with zeros, so a Builder can build all of it.
func TestRFC5769Built(t *testing.T) {
	want := vector(t, longTermRequest)
	key := md5.Sum([]byte("マトリックス:example.org:TheMatrIX"))
	got := NewBuilder(nil, Binding, Request, [TransactionIDSize]byte(want[8:HeaderSize])).
		Text(AttrUsername, "マトリックス").Text(AttrNonce, "f//499k954d6OL34oL9FSTvy64sA").Text(AttrRealm, "example.org").
		Integrity(key[:]).Bytes()
	if !bytes.Equal(got, want) {
		t.Errorf("built:\n%x, want\n%x", got, want)
	}
}

// If any bit of a vector is flipped, Parse, FINGERPRINT or MESSAGE-INTEGRITY detects it.
func TestRFC5769BitFlips(t *testing.T) {
	raw := vector(t, shortTermRequest)
	for i := range len(raw) * 8 {
		b := bytes.Clone(raw)
		b[i/8] ^= 1 << (i % 8)
		m := new(Message)
		if Parse(b, m) == nil && m.Fingerprint && m.CheckIntegrity([]byte(shortTermKey)) {
			t.Errorf("bit %d turned: not noticed", i)
		}
	}
}
