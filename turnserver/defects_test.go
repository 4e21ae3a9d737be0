package turnserver

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"icebox/turnserver/wire"
)

// What stock pion/turn v3.0.3 must not meet on the Internet. Each test gives one and
// the same input to Pion and to icebox, each in a process of its own: Pion has to
// come to harm, else the test shows nothing, and icebox must not.

// bothServers runs a test against a fresh child of each kind.
func bothServers(t *testing.T, options string, pion, icebox func(t *testing.T, c *child)) {
	t.Helper()
	t.Run("pion", func(t *testing.T) { pion(t, startChild(t, "pion"+options)) })
	t.Run("icebox", func(t *testing.T) { icebox(t, startChild(t, "icebox"+options)) })
}

// A XOR-PEER-ADDRESS without a value reads past its buffer if the message's size is
// one that the allocator hands out exactly.
func TestZeroLengthPeerAddress(t *testing.T) {
	attack := func(k *client) {
		k.allocate(0)
		for size := 0; size <= 64; size += 4 {
			k.write(wire.NewBuilder(nil, wire.Send, wire.Indication, newID()).
				Attribute(wire.AttrData, make([]byte, size)).Attribute(wire.AttrXORPeerAddress, nil).Bytes())
		}
	}
	bothServers(t, "", func(t *testing.T, c *child) {
		attack(c.dial("tcp4")) // one connection: its order is kept
		if last := c.lastWords(); !strings.Contains(last, "panic: runtime error: slice bounds out of range") {
			t.Errorf("Pion died of something else: %s", last)
		}
	}, func(t *testing.T, c *child) {
		k := c.dial("tcp4")
		attack(k)
		empty := func(b *wire.Builder) {
			b.Attribute(wire.AttrChannelNumber, []byte{0x40, 0, 0, 0}).Attribute(wire.AttrXORPeerAddress, nil)
		}
		k.must(k.do(wire.CreatePermission, empty), wire.BadRequest)
		k.must(k.do(wire.ChannelBind, empty), wire.BadRequest)
		k.wantNothing()
		c.serves()
	})
}

// STUN and ChannelData headers whose length, with the header's, is 0 in 16 bits: the
// frame that never gets consumed keeps a core busy, also after its client has left.
func TestFrameLengthThatWraps(t *testing.T) {
	frames := map[string][]byte{"stun": make([]byte, 20), "channel data": make([]byte, 20)}
	copy(frames["stun"], []byte{0, 1, 0xFF, 0xEC, 0x21, 0x12, 0xA4, 0x42})
	copy(frames["channel data"], []byte{0x40, 0, 0xFF, 0xFC})
	for name, frame := range frames {
		t.Run(name, func(t *testing.T) {
			const flood = 20000
			bothServers(t, "", func(t *testing.T, c *child) {
				k := c.dial("tcp4")
				k.write(frame)
				k.conn.Close()
				first := c.await("log flood", func(s childStats) bool { return s.LogLines > flood })
				c.await("the flood goes on", func(s childStats) bool {
					return s.LogLines > first.LogLines+flood && s.CPU > first.CPU+10*time.Millisecond
				})
			}, func(t *testing.T, c *child) {
				before := c.stats()
				k := c.dial("tcp4")
				k.write(frame)
				k.wantClosed()
				after := c.await("the connection's goroutine ends", func(s childStats) bool { return s.Goroutines <= before.Goroutines })
				if after.LogLines > before.LogLines+1 || after.CPU > before.CPU+time.Second {
					t.Errorf("before %+v, after %+v", before, after)
				}
				c.serves()
			})
		})
	}
}

// A frame that comes byte by byte costs Pion one level of recursion a byte.
func TestSlowDripGrowsNoStack(t *testing.T) {
	header := func(length int) []byte {
		b := []byte{0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42}
		binary.BigEndian.PutUint16(b[2:], uint16(length))
		return append(b, make([]byte, 12)...)
	}
	endless := append(header(0xFF00), make([]byte, 60000)...)
	const big = 4 << 20
	bothServers(t, ",drip", func(t *testing.T, c *child) {
		before := c.stats()
		c.dial("tcp4").write(endless)
		c.await("stack growth", func(s childStats) bool { return s.StackBytes > before.StackBytes+big })
	}, func(t *testing.T, c *child) {
		before := c.stats()
		k := c.dial("tcp4")
		_, _ = k.conn.Write(endless) // may fail: the server closes at the header
		k.wantClosed()
		// The longest frame that a stranger may send, and what it is answered with.
		k = c.dial("tcp4")
		k.exchange(wire.NewBuilder(nil, wire.Binding, wire.Request, newID()).Attribute(wire.AttrSoftware, make([]byte, strangerFrame-24)).Bytes())
		if after := c.stats(); after.StackBytes > before.StackBytes+big/8 {
			t.Errorf("%d bytes of stack, %d before", after.StackBytes, before.StackBytes)
		}
		c.serves()
	})
}

// One Accept that fails, as when file descriptors run out, must not be the last.
func TestAcceptErrorPasses(t *testing.T) {
	bothServers(t, ",emfile", func(t *testing.T, c *child) {
		c.await("accept loop ended", func(s childStats) bool { return s.Accepts == 1 && !s.Listening })
		k := c.dial("tcp4") // the kernel still takes connections, nobody else does
		k.write(wire.NewBuilder(nil, wire.Binding, wire.Request, newID()).Bytes())
		if err := k.conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if b, err := k.tryRead(); err == nil {
			t.Errorf("got %x from a listener that nobody reads", b)
		}
	}, func(t *testing.T, c *child) {
		c.serves()
		c.await("still accepting", func(s childStats) bool { return s.Accepts == 3 && s.Listening })
	})
}

// Close has to end the connections that were accepted, and their allocations.
func TestCloseLeavesNoZombies(t *testing.T) {
	bothServers(t, "", func(t *testing.T, c *child) {
		k, p := c.dial("tcp4"), newPeer(t, loopback4)
		k.login()
		c.command("close")
		m := k.do(wire.Allocate, udpTransport)
		k.must(m, 0)
		relayed := relayedOf(t, m)[0]
		k.must(k.permit(p.addr), 0)
		k.sendTo(p.addr, "from beyond the grave")
		p.want(relayed, "from beyond the grave")
	}, func(t *testing.T, c *child) {
		k, idle := c.dial("tcp4"), c.dial("tcp4")
		idle.login()
		k.allocate(0)
		if s := c.command("close"); s.Listening {
			t.Error("still accepting after Close")
		}
		k.wantClosed()
		idle.wantClosed()
		if conn, err := net.Dial("tcp4", c.addrs.TCP.String()); err == nil {
			conn.Close()
			t.Error("the listener is open")
		}
	})
}

// What strangers and peers send must not write the log.
func TestGarbageIsNotLogged(t *testing.T) {
	const rounds, each = 20, 25
	attack := func(c *child) {
		k, p, garbage := c.dial("udp4"), newPeer(c.t, loopback4), c.dial("udp4")
		relayed := k.allocate(0)
		for range rounds {
			for range each {
				garbage.write([]byte("\x00\x01 who reads this? \n\n"))
				p.send(relayed, "nobody permitted this")
			}
			garbage.wantNothing() // no faster than it is read, and answered in between
		}
	}
	bothServers(t, "", func(t *testing.T, c *child) {
		before := c.stats()
		attack(c)
		c.await("a line for each", func(s childStats) bool { return s.LogLines >= before.LogLines+rounds*each })
	}, func(t *testing.T, c *child) {
		before := c.stats()
		attack(c)
		after := c.await("counted", func(s childStats) bool {
			return s.Drops[DropMalformed.String()] == rounds*each && s.Drops[DropNoPermission.String()] >= rounds*each/2
		})
		if after.LogLines > before.LogLines {
			t.Errorf("%d lines logged", after.LogLines-before.LogLines)
		}
	})
}

// A challenge must be short, and its nonce be of use to nobody else.
func TestChallengeAmplifiesLittle(t *testing.T) {
	const headers = 20 + 8 // IPv4 and UDP
	attack := func(c *child) (payload, whole float64, stolen wire.Code) {
		k := c.dial("udp4")
		request := wire.NewBuilder(nil, wire.Allocate, wire.Request, newID()).Bytes()
		k.write(request)
		answer := k.read()
		k.login()
		conn, err := (&net.Dialer{LocalAddr: &net.UDPAddr{IP: net.IPv4(127, 0, 0, 9)}}).Dial("udp4", c.addrs.UDP.String())
		if err != nil {
			c.t.Fatal(err)
		}
		thief := &client{t: c.t, conn: conn, user: testUser, password: testPass, nonce: k.nonce}
		defer conn.Close()
		return float64(len(answer)) / float64(len(request)), float64(len(answer)+headers) / float64(len(request)+headers),
			code(thief.do(wire.Allocate, udpTransport))
	}
	bothServers(t, "", func(t *testing.T, c *child) {
		if payload, whole, stolen := attack(c); payload < 5 || whole < 3 || stolen != 0 {
			t.Errorf("factor %.1f, with headers %.1f, nonce of another address: %d", payload, whole, stolen)
		}
	}, func(t *testing.T, c *child) {
		if payload, whole, stolen := attack(c); payload > 4 || whole > 2.2 || stolen != wire.StaleNonce {
			t.Errorf("factor %.1f, with headers %.1f, nonce of another address: %d", payload, whole, stolen)
		}
	})
}

// Nobody has said anything about peers: they must not be the host itself, its
// network or its cloud.
func TestPeersByDefault(t *testing.T) {
	addrs := []string{"127.0.0.1", "127.0.0.53", "0.0.0.0", "169.254.169.254", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "224.0.0.1", "255.255.255.255"}
	attack := func(c *child) (codes map[wire.Code]int, k *client, p *testPeer, relayed netip.AddrPort) {
		k, p, codes = c.dial("udp4"), newPeer(c.t, loopback4), make(map[wire.Code]int)
		relayed = k.allocate(0)
		for i, a := range addrs {
			to := netip.AddrPortFrom(netip.MustParseAddr(a), p.addr.Port())
			codes[code(k.permit(to))]++
			codes[code(k.bind(0x4000+uint16(i), to))]++
		}
		k.sendTo(p.addr, "to the host itself")
		k.sendOn(0x4000, "on a channel")
		return codes, k, p, relayed
	}
	bothServers(t, ",default", func(t *testing.T, c *child) {
		codes, _, p, relayed := attack(c)
		if codes[0] != 2*len(addrs) {
			t.Errorf("answers %v", codes)
		}
		p.want(relayed, "to the host itself")
		p.want(relayed, "on a channel")
	}, func(t *testing.T, c *child) {
		codes, k, p, relayed := attack(c)
		if codes[wire.Forbidden] != 2*len(addrs) {
			t.Errorf("answers %v", codes)
		}
		p.send(relayed, "to the client")
		k.wantNothing()
		c.await("dropped", func(s childStats) bool {
			return s.Drops[DropNoPermission.String()] >= 1 && s.Drops[DropNoChannel.String()] == 1
		})
	})
}
