package wire

import (
	"net/netip"
	"testing"
	"time"
)

// FuzzParse reads hostile messages as the server does: no panic, and no attribute
// reaches out of the message.
func FuzzParse(f *testing.F) {
	key := []byte("key")
	peer := netip.MustParseAddrPort("192.0.2.1:9")
	f.Add(NewBuilder(nil, Binding, Request, testID).Fingerprint().Bytes())
	f.Add(NewBuilder(nil, Allocate, Request, testID).Attribute(AttrRequestedTransport, []byte{17, 0, 0, 0}).
		Text(AttrUsername, "1700000000:a").Integrity(key).Fingerprint().Bytes())
	f.Add(NewBuilder(nil, Send, Indication, testID).XORAddress(AttrXORPeerAddress, peer).Attribute(AttrData, make([]byte, 9)).Bytes())
	f.Add(NewBuilder(nil, CreatePermission, Request, testID).Attribute(AttrXORPeerAddress, nil).Integrity(key).Bytes())
	f.Add(NewBuilder(nil, Refresh, Request, testID).Lifetime(time.Hour).Integrity(key).Lifetime(0).Bytes())
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

// FuzzFrames cuts a hostile stream into frames: it always gets ahead, and never past the limit.
func FuzzFrames(f *testing.F) {
	f.Add(NewBuilder(nil, Binding, Request, testID).Bytes())
	f.Add([]byte{0x40, 0, 0, 4, 1, 2, 3, 4, 0x40, 0, 0xFF, 0xFC})
	f.Add([]byte{0, 3, 0xFF, 0xEC, 0x21, 0x12, 0xA4, 0x42})
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
