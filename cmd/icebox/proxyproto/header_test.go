package proxyproto

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
)

// version2Header returns a version 2 header. text is the part after begin2 in hexadecimal.
func version2Header(t testing.TB, text string) string {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return begin2 + string(b)
}

const (
	v4 = "cb007109 c0000201 8235 01bb" // 203.0.113.9:33333 to 192.0.2.1:443
	v6 = "20010db8000000000000000000000001 20010db8000000000000000000000002 8235 01bb"
)

func headers(t testing.TB) map[string]struct{ text, source, destination string } {
	return map[string]struct{ text, source, destination string }{
		"1, IPv4":              {"PROXY TCP4 203.0.113.9 192.0.2.1 33333 443\r\n", "203.0.113.9:33333", "192.0.2.1:443"},
		"1, IPv6":              {"PROXY TCP6 2001:db8::1 2001:db8::2 33333 443\r\n", "[2001:db8::1]:33333", "[2001:db8::2]:443"},
		"1, unknown":           {"PROXY UNKNOWN\r\n", "", ""},
		"1, unknown with more": {"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "", ""},
		"2, IPv4":              {version2Header(t, "21 11 000c"+v4), "203.0.113.9:33333", "192.0.2.1:443"},
		"2, IPv4, more behind": {version2Header(t, "21 11 0010"+v4+"04 0001 00"), "203.0.113.9:33333", "192.0.2.1:443"},
		"2, IPv6":              {version2Header(t, "21 21 0024"+v6), "[2001:db8::1]:33333", "[2001:db8::2]:443"},
		"2, IPv4 in IPv6":      {version2Header(t, "21 21 0024 00000000000000000000ffffcb007109 00000000000000000000ffffc0000201 8235 01bb"), "203.0.113.9:33333", "192.0.2.1:443"},
		"2, for itself":        {version2Header(t, "20 00 0000"), "", ""},
		"2, for itself, more":  {version2Header(t, "20 11 000c"+v4), "", ""},
		"2, no IP":             {version2Header(t, "21 31 0003 616263"), "", ""},
	}
}

func TestRead(t *testing.T) {
	for name, test := range headers(t) {
		t.Run(name, func(t *testing.T) {
			r := iotest.OneByteReader(strings.NewReader(test.text + "the client's data"))
			h, err := Read(r)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range []struct {
				got  netip.AddrPort
				want string
			}{{h.Source, test.source}, {h.Destination, test.destination}} {
				if p.got.IsValid() != (p.want != "") || p.want != "" && p.got.String() != p.want {
					t.Errorf("got %v, want %s", p.got, p.want)
				}
			}
			if rest, _ := io.ReadAll(r); string(rest) != "the client's data" {
				t.Errorf("left %q", rest)
			}
		})
	}
}

func TestBadHeaders(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":         "",
		"short":           "PROXY",
		"TLS":             "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 and so on",
		"HTTP":            "GET / HTTP/1.1\r\n\r\n",
		"1, no end":       "PROXY TCP4 " + strings.Repeat("1", 200),
		"1, cut":          "PROXY TCP4 203.0.113.9 192.0.2.1 33333",
		"1, no addresses": "PROXY TCP4\r\n",
		"1, other word":   "PROXY UDP4 203.0.113.9 192.0.2.1 33333 443\r\n",
		"1, no address":   "PROXY TCP4 203.0.113.999 192.0.2.1 33333 443\r\n",
		"1, a zone":       "PROXY TCP6 fe80::1%eth0 fe80::2 33333 443\r\n",
		"1, other family": "PROXY TCP4 2001:db8::1 2001:db8::2 33333 443\r\n",
		"1, no port":      "PROXY TCP4 203.0.113.9 192.0.2.1 99999 443\r\n",
		"1, two spaces":   "PROXY TCP4  203.0.113.9 192.0.2.1 33333 443\r\n",
		"2, cut":          version2Header(t, "21 11 000c cb0071"),
		"2, no length":    version2Header(t, "21 11"),
		"2, version 3":    version2Header(t, "31 11 000c"+v4),
		"2, command":      version2Header(t, "22 11 000c"+v4),
		"2, too short":    version2Header(t, "21 11 000b"+v4),
		"2, too long":     version2Header(t, "21 11 ffff") + strings.Repeat("x", 65535),
	} {
		if h, err := Read(strings.NewReader(text)); err == nil {
			t.Errorf("%s: got %+v", name, h)
		}
	}
	if _, err := Read(strings.NewReader("GET / HTTP/1.1\r\n\r\n")); !errors.Is(err, errNoHeader) {
		t.Errorf("got %v", err)
	}
}

// FuzzRead: for any input, Read reads no byte beyond the header, and returns the same for a header in one piece and in single
// bytes.
func FuzzRead(f *testing.F) {
	for _, h := range headers(f) {
		f.Add([]byte(h.text + "rest"))
	}
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		whole, pieces := bytes.NewReader(text), bytes.NewReader(text)
		one, err1 := Read(whole)
		other, err2 := Read(iotest.OneByteReader(pieces))
		if one != other || (err1 == nil) != (err2 == nil) || whole.Len() != pieces.Len() {
			t.Fatalf("%q: %v, %v and %v, %v", text, one, err1, other, err2)
		}
		if one.Source.IsValid() != one.Destination.IsValid() {
			t.Fatalf("%q: %+v", text, one)
		}
		if read := text[:len(text)-whole.Len()]; err1 == nil && !bytes.HasPrefix(read, []byte(begin2)) && !bytes.HasSuffix(read, []byte("\r\n")) {
			t.Fatalf("%q: read %q", text, read)
		}
	})
}
