package wire

import (
	"net/netip"
	"testing"
	"time"
)

// FuzzParse parses arbitrary messages. Parse must not panic, and no attribute may extend beyond the message.
func FuzzParse(f *testing.F) {
	key := []byte("key")
	peer := netip.MustParseAddrPort("192.0.2.1:9")
	f.Add(NewBuilder(nil, Binding, Request, testID).Fingerprint().Bytes())
	f.Add(NewBuilder(nil, Allocate, Request, testID).Attribute(AttrRequestedTransport, []byte{17, 0, 0, 0}).
		Text(AttrUsername, "1700000000:a").Integrity(key).Fingerprint().Bytes())
	f.Add(NewBuilder(nil, Send, Indication, testID).XORAddress(AttrXORPeerAddress, peer).Attribute(AttrData, make([]byte, 9)).Bytes())
	f.Add(NewBuilder(nil, CreatePermission, Request, testID).Attribute(AttrXORPeerAddress, []byte{0, 1, 0x12, 0x34}).Integrity(key).Bytes())
	f.Add(NewBuilder(nil, Refresh, Request, testID).Lifetime(time.Hour).Integrity(key).Text(AttrSoftware, "late").Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		var m Message
		if Parse(b, &m) != nil {
			return
		}
		total := HeaderSize
		for _, v := range m.Attributes() {
			total += AttributeHeaderSize + Pad4(len(v))
			m.XORAddress(v)
			Seconds(v)
			ChannelNumber(v)
		}
		if total > len(b) {
			t.Errorf("attributes of %d bytes in a message of %d", total, len(b))
		}
		if m.CheckIntegrity(key) && !m.HasIntegrity() {
			t.Error("integrity holds without the attribute")
		}
	})
}

// FuzzFrames cuts an arbitrary stream into frames. Each frame must consume bytes, and none may exceed the limit.
func FuzzFrames(f *testing.F) {
	f.Add(NewBuilder(nil, Binding, Request, testID).Bytes())
	f.Add([]byte{0x40, 0, 0, 4, 1, 2, 3, 4, 0x40, 0, 0x08, 0x00})
	f.Add([]byte{0, 3, 0x08, 0x00, 0x21, 0x12, 0xA4, 0x42})
	f.Fuzz(func(t *testing.T, b []byte) {
		const limit = 2048
		for len(b) >= MinFrame {
			size, padded, err := FrameSize(b, limit)
			if err != nil {
				return
			}
			if size < MinFrame || padded < size || padded > limit {
				t.Fatalf("frame of %d, padded %d", size, padded)
			}
			ChannelData(b[:min(size, len(b))])
			b = b[min(padded, len(b)):]
		}
	})
}
