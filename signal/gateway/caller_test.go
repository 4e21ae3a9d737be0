package gateway

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"icebox/signal"
)

type header = http.Header

var callers = map[string]struct {
	remote, host string
	header       header
	listener     Listener
	tls          bool
	want         caller
}{
	"direct": {
		remote: "198.51.100.7:5000", host: "Turn.Example.org:8080",
		want: caller{addr: netip.MustParseAddr("198.51.100.7"), host: "turn.example.org", scheme: "http"},
	},
	"direct, forged headers": {
		remote: "198.51.100.7:5000", host: "turn.example.org", tls: true,
		header: header{"X-Forwarded-For": {"192.0.2.1"}, "X-Forwarded-Host": {"evil"}, "X-Forwarded-Proto": {"http"}},
		want:   caller{addr: netip.MustParseAddr("198.51.100.7"), host: "turn.example.org", scheme: "https"},
	},
	"direct, mapped address with a zone": {
		remote: "[::ffff:198.51.100.7]:5000", host: "[2001:db8::1]:8080",
		want: caller{addr: netip.MustParseAddr("198.51.100.7"), host: "2001:db8::1", scheme: "http"},
	},
	"link-local": {
		remote: "[fe80::1%eth0]:5000", host: "[fe80::2]",
		want: caller{addr: netip.MustParseAddr("fe80::1"), host: "fe80::2", scheme: "http"},
	},
	"not an IP connection": {
		remote: "@", host: "a b<script>",
		want: caller{scheme: "http"},
	},
	"behind a proxy": {
		remote: "127.0.0.1:5000", host: "turn.example.org",
		header: header{"X-Forwarded-For": {"192.0.2.1"}, "X-Forwarded-Proto": {"HTTPS"}},
		want:   caller{addr: netip.MustParseAddr("192.0.2.1"), host: "turn.example.org", scheme: "https"},
	},
	"behind a proxy that says nothing": {
		remote: "127.0.0.1:5000", host: "turn.example.org",
		want: caller{addr: netip.MustParseAddr("127.0.0.1"), host: "turn.example.org"},
	},
	"behind a proxy, forged entries on the left": {
		remote: "127.0.0.1:5000", host: "x",
		header: header{"X-Forwarded-For": {"203.0.113.1, 192.0.2.1"}},
		want:   caller{addr: netip.MustParseAddr("192.0.2.1"), host: "x"},
	},
	"behind two proxies, several lines": {
		remote: "[::1]:5000", host: "x",
		header: header{"X-Forwarded-For": {"203.0.113.1", "192.0.2.1, , 10.1.2.3", ""}, "X-Forwarded-Host": {"evil, a.example:443", "B.example:8443"}},
		want:   caller{addr: netip.MustParseAddr("192.0.2.1"), host: "b.example"},
	},
	"junk entry": {
		remote: "127.0.0.1:5000", host: "x",
		header: header{"X-Forwarded-For": {"192.0.2.1, unknown, 10.1.2.3"}},
		want:   caller{addr: netip.MustParseAddr("10.1.2.3"), host: "x"},
	},
	"nothing but junk": {
		remote: "127.0.0.1:5000", host: "x",
		header: header{"X-Forwarded-For": {"999.1.1.1"}},
		want:   caller{addr: netip.MustParseAddr("127.0.0.1"), host: "x"},
	},
	"every hop trusted": {
		remote: "127.0.0.1:5000", host: "x",
		header: header{"X-Forwarded-For": {"10.1.0.9,10.1.0.8"}},
		want:   caller{addr: netip.MustParseAddr("10.1.0.9"), host: "x"},
	},
	"entries with ports": {
		remote: "127.0.0.1:5000", host: "x",
		header: header{"X-Forwarded-For": {"192.0.2.1:4711 ,10.1.0.8:80"}},
		want:   caller{addr: netip.MustParseAddr("192.0.2.1"), host: "x"},
	},
	"an IPv6 entry with port": {
		remote: "127.0.0.1:5000", host: "x",
		header: header{"X-Forwarded-For": {"[2001:db8::1]:4711"}},
		want:   caller{addr: netip.MustParseAddr("2001:db8::1"), host: "x"},
	},
	"an IPv6 entry in brackets": {
		remote: "127.0.0.1:5000", host: "x",
		header: header{"X-Forwarded-For": {"[2001:db8::1]"}},
		want:   caller{addr: netip.MustParseAddr("2001:db8::1"), host: "x"},
	},
	"local": {
		remote: "127.0.0.1:5000", host: "localhost:8080", listener: Listener{Loopback: true},
		want: caller{addr: netip.MustParseAddr("127.0.0.1"), host: "localhost", local: true},
	},
	"local by address": {
		remote: "[::1]:5000", host: "[::1]:8080", listener: Listener{Loopback: true, TLS: true}, tls: true,
		want: caller{addr: netip.MustParseAddr("::1"), host: "::1", scheme: "https", local: true},
	},
	"loopback listener, foreign name": {
		remote: "127.0.0.1:5000", host: "rebound.example:8080", listener: Listener{Loopback: true},
		want: caller{addr: netip.MustParseAddr("127.0.0.1"), host: "rebound.example"},
	},
	"loopback listener behind a proxy": {
		remote: "127.0.0.1:5000", host: "localhost:8080", listener: Listener{Loopback: true}, header: header{"Via": {"1.1 nginx"}},
		want: caller{addr: netip.MustParseAddr("127.0.0.1"), host: "localhost"},
	},
	"public listener, local name": {
		remote: "198.51.100.7:5000", host: "localhost:8080",
		want: caller{addr: netip.MustParseAddr("198.51.100.7"), host: "localhost", scheme: "http"},
	},
}

func TestIdentify(t *testing.T) {
	trusted := []netip.Prefix{
		netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("10.1.0.0/16"),
	}
	for name, c := range callers {
		t.Run(name, func(t *testing.T) {
			r := &http.Request{RemoteAddr: c.remote, Host: c.host, Header: c.header}
			if c.tls {
				r.TLS = &tls.ConnectionState{}
			}
			got := identifyCaller(r, c.listener, trusted)
			got.port = "" // TestBase checks it
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(caller{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOrigins(t *testing.T) {
	open := signal.DefaultLimits()
	open.Origins = []string{"https://App.example.org:443/", "http://dev.example:3000"}
	byKey := open
	byKey.Access, byKey.Keys = signal.ByKey, []signal.Key{{Name: "web", Key: "0123456789"}}
	listed := open
	listed.Origins = []string{"null"}
	anyone := open
	anyone.Origins = []string{"*"}
	here := caller{host: "turn.example.org"}
	local := caller{host: "localhost", local: true}
	for name, c := range map[string]struct {
		limits signal.Limits
		caller caller
		origin []string
		want   bool
	}{
		"same host":                 {open, here, []string{"https://turn.example.org"}, true},
		"same host, another port":   {open, here, []string{"http://Turn.Example.org:3000"}, true},
		"same address":              {open, caller{host: "2001:db8::1"}, []string{"https://[2001:db8::1]:3000"}, true},
		"another host":              {open, here, []string{"https://evil.example"}, false},
		"a host below":              {open, here, []string{"https://x.turn.example.org"}, false},
		"a host that ends alike":    {open, here, []string{"https://evilturn.example.org"}, false},
		"user info":                 {open, here, []string{"https://turn.example.org@evil.example"}, false},
		"listed":                    {open, here, []string{"https://app.example.org"}, true},
		"listed, another port":      {open, here, []string{"https://app.example.org:8443"}, false},
		"listed, another scheme":    {open, here, []string{"http://app.example.org"}, false},
		"listed with its port":      {open, here, []string{"http://dev.example:3000"}, true},
		"none":                      {open, here, nil, false},
		"null":                      {open, here, []string{"null"}, false},
		"file":                      {open, here, []string{"file://"}, false},
		"none, local":               {open, local, nil, true},
		"null, local":               {open, local, []string{"null"}, true},
		"file, local":               {open, local, []string{"file://"}, true},
		"loopback, local":           {open, caller{host: "127.0.0.1", local: true}, []string{"http://localhost:5173"}, true},
		"loopback, not local":       {open, here, []string{"http://localhost:5173"}, false},
		"another host, local":       {open, local, []string{"https://evil.example"}, false},
		"none, by key":              {byKey, here, nil, true},
		"null, by key":              {byKey, here, []string{"null"}, true},
		"another host, by key":      {byKey, here, []string{"https://evil.example"}, false},
		"null, listed":              {listed, here, []string{"null"}, true},
		"none, null listed":         {listed, here, nil, false},
		"any":                       {anyone, here, []string{"https://evil.example"}, true},
		"any, null":                 {anyone, here, []string{"null"}, true},
		"any, none":                 {anyone, here, nil, true},
		"two origins":               {open, here, []string{"https://turn.example.org", "https://turn.example.org"}, false},
		"junk":                      {open, here, []string{"://"}, false},
		"empty":                     {open, here, []string{""}, false},
		"empty, the host not known": {open, caller{}, []string{"http://"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := compile(c.limits)
			if err != nil {
				t.Fatal(err)
			}
			if got := r.admitsOrigin(c.origin, c.caller); got != c.want {
				t.Errorf("admitted: %v", got)
			}
		})
	}
}

func TestBadOriginsAreRefused(t *testing.T) {
	for _, o := range []string{"", "app.example.org", "https://", "https://a/b", "https://a?b", "https://u:p@a", "://"} {
		l := signal.DefaultLimits()
		l.Origins = []string{o}
		if _, err := compile(l); err == nil {
			t.Errorf("%q is accepted", o)
		}
	}
}

func FuzzForwardedFor(f *testing.F) {
	for _, s := range []string{"", "192.0.2.1", "a, b", "[::1]:80, 127.0.0.1", ",,,", "::ffff:1.2.3.4", "127.0.0.1:x"} {
		f.Add(s, s)
	}
	trusted := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	proxy := netip.MustParseAddr("127.0.0.1")
	f.Fuzz(func(t *testing.T, a, b string) {
		if got := forwardedFor([]string{a, b}, proxy, trusted); !got.IsValid() || got.Is4In6() || got.Zone() != "" {
			t.Fatalf("%q %q: %v", a, b, got)
		}
		plainHost(a)
	})
}

func TestBase(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for name, c := range map[string]struct {
		remote, host string
		header       header
		listener     Listener
		want         string
	}{
		"direct":            {"198.51.100.7:1", "turn.example.org:8080", nil, Listener{}, "http://turn.example.org:8080"},
		"TLS":               {"198.51.100.7:1", "turn.example.org", nil, Listener{TLS: true}, "https://turn.example.org"},
		"IPv6":              {"198.51.100.7:1", "[2001:db8::1]:80", nil, Listener{}, "http://[2001:db8::1]:80"},
		"a proxy says":      {"127.0.0.1:1", "x", header{"X-Forwarded-Host": {"a.example"}, "X-Forwarded-Proto": {"https"}}, Listener{}, "https://a.example"},
		"a proxy is silent": {"127.0.0.1:1", "a.example", header{"X-Forwarded-For": {"192.0.2.1"}}, Listener{Loopback: true}, ""},
		"local":             {"127.0.0.1:1", "localhost:8080", nil, Listener{Loopback: true}, "http://localhost:8080"},
		"junk":              {"198.51.100.7:1", "a\"b:x", nil, Listener{}, ""},
		"a stranger says":   {"198.51.100.7:1", "x", header{"X-Forwarded-Proto": {"javascript"}}, Listener{}, "http://x"},
		"a proxy is odd":    {"127.0.0.1:1", "x", header{"X-Forwarded-Proto": {"javascript"}}, Listener{}, ""},
	} {
		got := identifyCaller(&http.Request{RemoteAddr: c.remote, Host: c.host, Header: c.header}, c.listener, trusted).base()
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
