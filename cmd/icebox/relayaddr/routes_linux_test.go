package relayaddr

import (
	"encoding/binary"
	"slices"
	"syscall"
	"testing"
)

// attribute encodes one attribute of a route, padded.
func attribute(typ uint16, value []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, value...)
	return append(b, make([]byte, -len(b)&3)...)
}

func index(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

// nextHop encodes a struct rtnexthop with a gateway behind it.
func nextHop(n uint32) []byte {
	gateway := attribute(syscall.RTA_GATEWAY, []byte{192, 0, 2, 1})
	b := binary.NativeEndian.AppendUint16(nil, uint16(8+len(gateway)))
	b = append(b, 0, 0)
	return append(append(b, index(n)...), gateway...)
}

func message(typ uint16, family, bits, kind byte, attributes ...[]byte) *syscall.NetlinkMessage {
	data := []byte{family, bits, 0, 0, syscall.RT_TABLE_MAIN, 0, 0, kind, 0, 0, 0, 0}
	data = append(data, slices.Concat(attributes...)...)
	return &syscall.NetlinkMessage{Header: syscall.NlMsghdr{Len: uint32(syscall.SizeofNlMsghdr + len(data)), Type: typ}, Data: data}
}

func TestDefaultsOf(t *testing.T) {
	const route4, unicast = syscall.RTM_NEWROUTE, syscall.RTN_UNICAST
	gateway := attribute(syscall.RTA_GATEWAY, []byte{192, 0, 2, 1})
	out := attribute(syscall.RTA_OIF, index(2))
	for name, tt := range map[string]struct {
		m    *syscall.NetlinkMessage
		want []route
	}{
		"IPv4":              {message(route4, syscall.AF_INET, 0, unicast, gateway, out), []route{{2, true}}},
		"IPv6":              {message(route4, syscall.AF_INET6, 0, unicast, out), []route{{2, false}}},
		"a network":         {message(route4, syscall.AF_INET, 24, unicast, out), nil},
		"unreachable":       {message(route4, syscall.AF_INET6, 0, syscall.RTN_UNREACHABLE, out), nil},
		"blackhole":         {message(route4, syscall.AF_INET, 0, syscall.RTN_BLACKHOLE), nil},
		"multicast routing": {message(route4, 128, 0, unicast, out), nil}, // RTNL_FAMILY_IPMR
		"two gateways":      {message(route4, syscall.AF_INET, 0, unicast, attribute(syscall.RTA_MULTIPATH, append(nextHop(2), nextHop(5)...))), []route{{2, true}, {5, true}}},
		"end of the dump":   {message(syscall.NLMSG_DONE, 0, 0, 0), nil},
		"too short":         {&syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: route4}, Data: []byte{syscall.AF_INET}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := defaultsOf(tt.m); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func FuzzDefaultsOf(f *testing.F) {
	f.Add(message(syscall.RTM_NEWROUTE, syscall.AF_INET, 0, syscall.RTN_UNICAST, attribute(syscall.RTA_OIF, index(2))).Data)
	f.Add(message(syscall.RTM_NEWROUTE, syscall.AF_INET6, 0, syscall.RTN_UNICAST, attribute(syscall.RTA_MULTIPATH, append(nextHop(2), nextHop(5)...))).Data)
	f.Fuzz(func(_ *testing.T, data []byte) {
		m := &syscall.NetlinkMessage{Header: syscall.NlMsghdr{Len: uint32(syscall.SizeofNlMsghdr + len(data)), Type: syscall.RTM_NEWROUTE}, Data: data}
		_ = defaultsOf(m) // it must not panic
	})
}
