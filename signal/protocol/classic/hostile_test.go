package classic

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"

	gorilla "github.com/gorilla/websocket"

	"icebox/signal"
)

// inCall returns two clients with a call between them.
func (s *server) inCall(a, b string) (*page, *page) {
	s.t.Helper()
	al, bo := &page{peer: s.login(a)}, &page{peer: s.login(b)}
	al.call(b)
	bo.answerCall(a)
	al.Want(`{"type":"answer","answer":` + sdpAnswer + `}`)
	return al, bo
}

// checkCallWorks checks that neither party of a call was sent anything unexpected, and that candidates still pass in both
// directions.
func checkCallWorks(al, bo *page) {
	al.TB.Helper()
	al.sync()
	bo.sync()
	al.say("candidate", "candidate", candidate, "")
	bo.Want(`{"type":"candidate","candidate":` + candidate + `}`)
	bo.say("candidate", "candidate", candidate, "")
	al.Want(`{"type":"candidate","candidate":` + candidate + `}`)
}

// fast raises the limit on messages so far that no test reaches it.
func fast(_ *signal.Options, l *signal.Limits) { l.MessagesPerSecond, l.MessageBurst = 1e6, 1e6 }

// Malformed messages, and messages of clients outside a call, get the right reply and do not disturb the call of other
// clients.
func TestHostileInputDisturbsNoCall(t *testing.T) {
	const (
		noReply = ""
		failed  = "login"
	)
	cases := map[string]struct {
		signedIn bool
		text     string
		reply    string // an error code, or one of the above
	}{
		"leave before any call":       {true, `{"type":"leave"}`, noReply},
		"leave, not signed in":        {false, `{"type":"leave"}`, noReply},
		"leave to nobody":             {true, `{"type":"leave","name":"nobody"}`, noReply},
		"leave to a number":           {true, `{"type":"leave","name":7}`, noReply},
		"forged leave":                {true, `{"type":"leave","name":"bo"}`, noReply},
		"forged leave, not signed in": {false, `{"type":"leave","name":"bo"}`, noReply},
		"forged candidate":            {true, `{"type":"candidate","candidate":{},"name":"bo"}`, noReply},
		"forged answer":               {true, `{"type":"answer","answer":{},"name":"bo"}`, "not-paired"},
		"offer, not signed in":        {false, `{"type":"offer","offer":{},"name":"bo"}`, "not-signed-in"},
		"candidate, not signed in":    {false, `{"type":"candidate","candidate":{},"name":"bo"}`, "not-signed-in"},
		"offer to nobody":             {true, `{"type":"offer","offer":{},"name":"nobody"}`, "peer-offline"},
		"answer to nobody":            {true, `{"type":"answer","answer":{},"name":"nobody"}`, "not-paired"},
		"offer without its offer":     {true, `{"type":"offer","name":"bo"}`, "bad-message"},
		"offer to an object":          {true, `{"type":"offer","offer":{},"name":{"a":1}}`, "bad-message"},
		"true":                        {true, `true`, "bad-message"},
		"an open brace":               {true, `{`, "bad-message"},
		"an array":                    {true, `["type","login"]`, "bad-message"},
		"an array, open":              {true, strings.Repeat("[", 50_000), "bad-message"},
		"deep objects":                {true, strings.Repeat(`{"a":`, 30_000) + "1" + strings.Repeat("}", 30_000), "bad-message"},
		"a number":                    {true, `1e999`, "bad-message"},
		"a string":                    {true, `"login"`, "bad-message"},
		"nothing":                     {true, ``, "bad-message"},
		"two objects":                 {true, `{"type":"leave"}{"type":"leave"}`, "bad-message"},
		"upper-case members":          {true, `{"TYPE":"leave","NAME":"bo"}`, "unknown-type"},
		"unknown type":                {true, `{"type":"dance"}`, "unknown-type"},
		"type is an object":           {true, `{"type":{"a":1}}`, "unknown-type"},
		"long unknown type":           {true, `{"type":"` + strings.Repeat("x", 10_000) + `"}`, "unknown-type"},
		"login without a name":        {false, `{"type":"login"}`, failed},
		"login with an empty name":    {false, `{"type":"login","name":""}`, failed},
		"login with a number":         {false, `{"type":"login","name":7}`, failed},
		"login with null":             {false, `{"type":"login","name":null}`, failed},
		"login with a long name":      {false, `{"type":"login","name":"` + strings.Repeat("x", 129) + `"}`, failed},
		"login with a line break":     {false, `{"type":"login","name":"a\nb"}`, failed},
		"login as somebody else":      {true, `{"type":"login","name":"bo"}`, failed},
	}
	s := start(t, Options{}, fast)
	al, bo := s.inCall("al", "bo")
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			eve := s.dial()
			if c.signedIn {
				eve = s.login("eve " + name)
			}
			eve.TB, al.TB, bo.TB = t, t, t
			eve.Send(c.text)
			switch c.reply {
			case noReply:
			case failed:
				if m := eve.receive("login"); m.Success == nil || *m.Success || m.Code == "" || m.Message == "" {
					t.Fatalf("login: %+v", m)
				}
			default:
				if m := eve.receive("error"); m.Code != c.reply || len(m.Message) > 200 {
					t.Fatalf("error %q: %s", m.Code, m.Message)
				}
			}
			eve.sync()
			checkCallWorks(al, bo)
			eve.leave()
			checkCallWorks(al, bo)
		})
	}
}

func TestUnusualNames(t *testing.T) {
	s := start(t, Options{})
	for _, name := range []string{"undefined", "null", "two words", "🦊", `a"b\c<&>`, strings.Repeat("x", 128)} {
		a, b := s.login("to "+name[:min(len(name), 100)]), s.login(name)
		a.Sendf(`{"type":"offer","offer":{"sdp":"x"},"name":%s}`, quote(name))
		if m := b.receive("offer"); m.Name != "to "+name[:min(len(name), 100)] {
			t.Errorf("%q got an offer from %q", name, m.Name)
		}
		b.Sendf(`{"type":"offer","offer":{"sdp":"y"},"name":%s}`, quote("to "+name[:min(len(name), 100)]))
		if m := a.receive("offer"); m.Name != name {
			t.Errorf("an offer from %q says %q", name, m.Name)
		}
		b.leave()
		a.receive("leave")
		s.login(name)
	}
}

func TestBinaryFramesAreRefused(t *testing.T) {
	s := start(t, Options{})
	al := s.login("al")
	_ = al.WriteMessage(gorilla.BinaryMessage, []byte(`{"type":"leave"}`))
	al.refused(signal.ErrBinary)
	_ = al.WriteMessage(gorilla.BinaryMessage, []byte{0xff, 0xfe})
	al.refused(signal.ErrBinary)
	al.sync()
}

func TestTextThatIsNotUTF8EndsOnlyItsSender(t *testing.T) {
	s := start(t, Options{})
	al, bo := s.inCall("al", "bo")
	eve := s.login("eve")
	eve.Send("{\"type\":\"offer\",\"offer\":\"\xff\",\"name\":\"bo\"}")
	eve.SkipToClose(gorilla.CloseInvalidFramePayloadData)
	checkCallWorks(al, bo)
}

func TestOversizedMessageEndsOnlyItsSender(t *testing.T) {
	s := start(t, Options{}, func(_ *signal.Options, l *signal.Limits) { l.MaxMessage = 64 << 10 })
	al, bo := s.inCall("al", "bo")
	for _, size := range []int{64<<10 + 1, 8 << 20} {
		eve := s.login("eve")
		// The server may cut a large one off before it has been sent, so a failed write is fine.
		_ = eve.WriteMessage(gorilla.TextMessage, fmt.Appendf(nil, `{"type":"offer","name":"bo","offer":"%s"}`, bytes.Repeat([]byte{'x'}, size)))
		eve.refused(signal.ErrTooLarge)
		eve.SkipToClose(gorilla.CloseMessageTooBig)
		checkCallWorks(al, bo)
	}
}

func TestLargestMessagePasses(t *testing.T) {
	s := start(t, Options{})
	al, bo := s.login("al"), s.login("bo")
	head, tail := `{"type":"offer","name":"bo","offer":"`, `"}`
	sdp := strings.Repeat("x", 256<<10-len(head)-len(tail))
	al.Send(head + sdp + tail)
	bo.Want(`{"type":"offer","offer":"` + sdp + `","name":"al"}`)
}

func TestBrokenFramesEndOnlyTheirSender(t *testing.T) {
	s := start(t, Options{})
	al, bo := s.inCall("al", "bo")
	for name, bytes := range map[string][]byte{
		"not masked":          {0x81, 0x02, '{', '}'},
		"reserved bit":        {0xc1, 0x80, 0, 0, 0, 0},
		"reserved opcode":     {0x83, 0x80, 0, 0, 0, 0},
		"long ping":           {0x89, 0xfe, 0x01, 0x00, 0, 0, 0, 0},
		"fragmented ping":     {0x09, 0x80, 0, 0, 0, 0},
		"stray continuation":  {0x80, 0x80, 0, 0, 0, 0},
		"length 2^63":         {0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"length 2^62":         {0x81, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"close with one byte": {0x88, 0x81, 0, 0, 0, 0, 3},
		"half a header":       {0x81},
	} {
		t.Run(name, func(t *testing.T) {
			eve := s.login("eve")
			eve.TB, al.TB, bo.TB = t, t, t
			if _, err := eve.NetConn().Write(bytes); err != nil {
				t.Fatal(err)
			}
			_ = eve.NetConn().(*net.TCPConn).CloseWrite() // fails if the server has closed already
			eve.Drain()
			checkCallWorks(al, bo)
		})
	}
}
