package turnserver

import (
	"net/netip"
	"strings"
	"testing"

	"icebox/turnserver/credential"
	"icebox/turnserver/peer"
)

// New refuses invalid options and limits, and returns all of them in one error.
func TestNewRefuses(t *testing.T) {
	addr := netip.MustParseAddr
	tests := map[string]struct {
		edit func(*Options, *Limits)
		want []string
	}{
		"no realm":            {func(o *Options, _ *Limits) { o.Realm = "" }, []string{"realm must have 1 to 127 bytes"}},
		"long realm":          {func(o *Options, _ *Limits) { o.Realm = strings.Repeat("r", 128) }, []string{"realm must have 1 to 127 bytes"}},
		"no relay address":    {func(o *Options, _ *Limits) { o.RelayAddrs = nil }, []string{"no relay address"}},
		"ports upside down":   {func(o *Options, _ *Limits) { o.RelayPorts = PortRange{2000, 1000} }, []string{"relay ports 2000-1000 are not a range"}},
		"port 0":              {func(o *Options, _ *Limits) { o.RelayPorts = PortRange{0, 1000} }, []string{"relay ports 0-1000 are not a range"}},
		"wildcard":            {func(o *Options, _ *Limits) { o.RelayAddrs = []RelayAddr{{addr("0.0.0.0"), addr("192.0.2.1")}} }, []string{"relay address 0.0.0.0"}},
		"wildcard advertised": {func(o *Options, _ *Limits) { o.RelayAddrs = []RelayAddr{{addr("192.0.2.1"), addr("0.0.0.0")}} }, []string{"relay address 192.0.2.1"}},
		"nothing advertised":  {func(o *Options, _ *Limits) { o.RelayAddrs = []RelayAddr{{Local: addr("2001:db8::1")}} }, []string{"relay address 2001:db8::1"}},
		"two families":        {func(o *Options, _ *Limits) { o.RelayAddrs = []RelayAddr{{addr("192.0.2.1"), addr("2001:db8::1")}} }, []string{"not two addresses of one family"}},
		"mapped": {func(o *Options, _ *Limits) {
			o.RelayAddrs = []RelayAddr{{addr("::ffff:192.0.2.1"), addr("2001:db8::1")}}
		}, []string{"relay address ::ffff:192.0.2.1"}},
		"with a zone": {func(o *Options, _ *Limits) { o.RelayAddrs = []RelayAddr{{addr("fe80::1%eth0"), addr("fe80::1%eth0")}} }, []string{"relay address fe80::1%eth0"}},
		"multicast":   {func(o *Options, _ *Limits) { o.RelayAddrs = []RelayAddr{{addr("224.0.0.1"), addr("224.0.0.1")}} }, []string{"relay address 224.0.0.1"}},
		"advertised twice": {func(o *Options, _ *Limits) {
			o.RelayAddrs = []RelayAddr{{own4, addr("192.0.2.1")}, {loopback4, addr("192.0.2.1")}}
		}, []string{"named twice"}},
		"no verifier": {func(_ *Options, l *Limits) { l.Credentials = nil }, []string{"no credential verifier"}},
		"malformed peer rules": {func(_ *Options, l *Limits) {
			l.Peers = []peer.Rule{{}, {Prefix: netip.PrefixFrom(own4, 32), Ports: peer.PortRange{Min: 2, Max: 1}}}
		}, []string{"invalid prefix", "first port is greater"}},
		"negative limit": {func(_ *Options, l *Limits) { l.Channels = -1 }, []string{"limit of channels: -1"}},
		"several":        {func(o *Options, _ *Limits) { o.Realm, o.RelayAddrs = "", nil }, []string{"realm", "no relay address"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := Options{Realm: testRealm, RelayAddrs: []RelayAddr{{own4, own4}}}
			l := Limits{Credentials: verifier(t, credential.VerifierOptions{})}
			tt.edit(&o, &l)
			s, err := New(o, l)
			if err == nil {
				s.Close()
				t.Fatal("accepted")
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not say %q", err, w)
				}
			}
		})
	}
}
