package native_test

import (
	"testing"

	"icebox/signal"
)

// helloLines returns the script lines that sign a client in under its own name.
func helloLines(name string) []string {
	return []string{
		name + `> {"type":"hello","v":1,"name":"` + name + `"}`,
		name + `< {"type":"welcome","id":"$` + name + `","name":"` + name + `","resume":"$` + name + `secret"}`,
		name + `> {"type":"ack"}`,
	}
}

// lines joins single lines and slices of lines to a script.
func lines(parts ...any) (all []string) {
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			all = append(all, p)
		case []string:
			all = append(all, p...)
		}
	}
	return all
}

// scripts have a conversation for each feature of the protocol.
var scripts = map[string][]string{
	"sign in": {
		`al> {"type":"hello","v":1,"name":"al","future":{"x":[1]}}`,
		`al< {"type":"welcome","v":1,"id":"*","name":"al","resume":"*","expires":9999999999,"ttl":3600,
		      "iceServers":[{"urls":["stun:h:3478"]},{"urls":["turn:h:3478"],"username":"1:al/","credential":"pw"}],
		      "limits":{"message":262144,"messagesPerSecond":30,"burst":100,"names":128,"parties":3,"calls":8,"resume":30}}`,
		`al> {"type":"hello","v":1,"name":"al","ref":1}`,
		`al< {"type":"error","code":"signed-in","ref":1,"seq":1}`,
	},
	"sign in without a name": {
		`al> {"type":"hello","v":1}`,
		`al< {"type":"welcome","id":"*","name":null,"iceServers":[{"urls":["stun:h:3478"]},{"urls":["turn:h:3478"],"username":"1:@127.0.0.1/","credential":"pw"}]}`,
	},
	"refused hellos": {
		`al> {"type":"ping"}`, `al< {"type":"error","code":"not-signed-in","seq":null}`,
		`al> {"type":"hello","name":"al","ref":"r"}`, `al< {"type":"error","code":"version","v":1,"ref":"r"}`,
		`al> {"type":"hello","v":1,"name":"a\u0000"}`, `al< {"type":"error","code":"bad-name"}`,
		`al> nonsense`, `al< {"type":"error","code":"bad-message"}`,
		`al> {"type":"hello","v":1,"resume":"AAAA"}`, `al< {"type":"error","code":"resync"}`,
		`al. 1008`,
	},
	"a name is taken": lines(helloLines("al"),
		`bo> {"type":"hello","v":1,"name":"al"}`, `bo< {"type":"error","code":"name-taken"}`,
		`bo> {"type":"hello","v":1,"name":"bo"}`, `bo< {"type":"welcome","name":"bo"}`,
	),
	"messages to a name and to an ID": lines(helloLines("al"), helloLines("bo"),
		`al> {"type":"send","to":"bo","kind":"greeting","data":{"a": [1 ,2]},"ref":1}`,
		`al< {"type":"ok","ref":1,"seq":1}`,
		`bo< {"type":"message","from":"$al","fromName":"al","kind":"greeting","data":{"a":[1,2]},"seq":1}`,
		`bo> {"type":"send","toId":"$al","kind":"x","data":null}`,
		`al< {"type":"message","from":"$bo","fromName":"bo","kind":"x","seq":2}`,
		`al> {"type":"send","to":"nobody","kind":"x","data":1,"ref":"q"}`,
		`al< {"type":"error","code":"peer-offline","ref":"q","to":"nobody"}`,
		`al> {"type":"send","toId":"nobody","kind":"x","data":1}`,
		`al< {"type":"error","code":"peer-offline","toId":"nobody"}`,
		`al> {"type":"send","to":"bo","kind":"x"}`, `al< {"type":"error","code":"bad-message"}`,
		`al> {"type":"send","to":"bo","kind":"a b","data":1}`, `al< {"type":"error","code":"bad-message"}`,
		`al> {"type":"send","kind":"x","data":1}`, `al< {"type":"error","code":"bad-message"}`,
	),
	"a client without a name": lines(helloLines("al"),
		`bo> {"type":"hello","v":1}`, `bo< {"type":"welcome","id":"$bo"}`,
		`bo> {"type":"send","to":"al","kind":"offer","data":1}`,
		`al< {"type":"message","from":"$bo","fromName":null,"kind":"offer","data":1}`,
		`al> {"type":"send","toId":"$bo","kind":"answer","data":2}`,
		`bo< {"type":"message","from":"$al","fromName":"al","kind":"answer","data":2}`,
	),
	"pairs": lines(helloLines("al"), helloLines("bo"), helloLines("eve"),
		`al> {"type":"send","to":"bo","kind":"candidate","data":1}`, `al< {"type":"error","code":"not-paired"}`,
		`al> {"type":"send","to":"bo","kind":"offer","data":1}`, `bo< {"type":"message","kind":"offer"}`,
		`bo> {"type":"send","to":"al","kind":"answer","data":2}`, `al< {"type":"message","kind":"answer"}`,
		`eve> {"type":"send","to":"al","kind":"leave"}`, `eve< {"type":"error","code":"not-paired"}`,
		`eve> {"type":"send","toId":"$al","kind":"candidate","data":1}`, `eve< {"type":"error","code":"not-paired"}`,
		`al> {"type":"send","to":"bo","kind":"leave"}`, `bo< {"type":"message","kind":"leave","data":null,"fromName":"al"}`,
		`bo> {"type":"send","to":"al","kind":"candidate","data":1}`, `bo< {"type":"error","code":"not-paired"}`,
	),
	"calls with a client of the classic protocol": lines(helloLines("al"),
		`old> {"type":"login","name":"bo"}`, `old< {"type":"login","success":true}`,
		`al> {"type":"send","to":"bo","kind":"offer","data":{"sdp":"o"}}`, `old< {"type":"offer","offer":{"sdp":"o"},"name":"al"}`,
		`old> {"type":"answer","answer":{"sdp":"a"},"name":"al"}`, `al< {"type":"message","kind":"answer","data":{"sdp":"a"},"fromName":"bo"}`,
		`old> {"type":"candidate","candidate":{"c":1},"name":"al"}`, `al< {"type":"message","kind":"candidate","data":{"c":1}}`,
		`al> {"type":"send","to":"bo","kind":"chat","data":1}`, `al< {"type":"error","code":"peer-unsupported"}`,
		`cy> {"type":"hello","v":1}`, `cy< {"type":"welcome"}`,
		`cy> {"type":"send","to":"bo","kind":"offer","data":1}`, `cy< {"type":"error","code":"peer-unsupported"}`,
		`al> {"type":"send","to":"bo","kind":"leave"}`, `old< {"type":"leave"}`,
	),
	"presence": lines(helloLines("al"),
		`al> {"type":"watch","names":["bo","al"],"ref":1}`,
		`al< {"type":"presence","name":"bo","online":false}`, `al< {"type":"presence","name":"al","online":true}`, `al< {"type":"ok","ref":1}`,
		helloLines("bo"), `al< {"type":"presence","name":"bo","online":true}`,
		`bo> {"type":"bye"}`, `al< {"type":"presence","name":"bo","online":false}`,
		`al> {"type":"unwatch","names":["bo"],"ref":2}`, `al< {"type":"ok","ref":2}`,
		`bo!`, helloLines("bo2"), `al> {"type":"watch","names":[""]}`, `al< {"type":"error","code":"bad-name"}`,
	),
	"a correspondent ends its session": lines(helloLines("al"), helloLines("bo"),
		`al> {"type":"send","to":"bo","kind":"x","data":1}`, `bo< {"type":"message"}`,
		`bo> {"type":"bye"}`, `al< {"type":"gone","from":"$bo","fromName":"bo"}`, `bo. 1000`,
		`al> {"type":"send","toId":"$bo","kind":"x","data":1}`, `al< {"type":"error","code":"peer-offline"}`,
	),
	"a call with a late joiner": lines(helloLines("al"), helloLines("bo"),
		`al> {"type":"create","ref":1}`,
		`al< {"type":"created","ref":1,"call":"$call","link":"*","max":2,"expires":9999999999}`,
		`al> {"type":"send","call":"$call","kind":"candidate","data":1}`,
		`al> {"type":"send","call":"$call","kind":"offer","data":2}`,
		`al> {"type":"send","call":"$call","kind":"candidate","data":3}`,
		`al> {"type":"ping"}`, `al< {"type":"pong"}`,
		`bo> {"type":"join","call":"$call","ref":2}`,
		`bo< {"type":"joined","ref":2,"call":"$call","parties":[{"id":"$al","name":"al"}],"max":2,
		      "iceServers":[{"urls":["stun:h:3478"]},{"urls":["turn:h:3478"],"username":"*","credential":"pw"}]}`,
		`bo< {"type":"message","call":"$call","from":"$al","fromName":"al","kind":"offer","data":2}`,
		`bo< {"type":"message","kind":"candidate","data":1}`, `bo< {"type":"message","kind":"candidate","data":3}`,
		`al< {"type":"party-joined","call":"$call","id":"$bo","name":"bo"}`,
		`bo> {"type":"send","call":"$call","toId":"$al","kind":"answer","data":4}`,
		`al< {"type":"message","call":"$call","from":"$bo","kind":"answer","data":4}`,
		`al> {"type":"ice","call":"$call","ref":3}`, `al< {"type":"ice","call":"$call","ref":3,"ttl":3600}`,
		`al> {"type":"hangup","call":"$call","ref":4}`,
		`al< {"type":"ended","call":"$call","reason":"hangup","fromName":"al"}`, `al< {"type":"ok","ref":4}`,
		`bo< {"type":"ended","call":"$call","reason":"hangup","from":"$al","fromName":"al"}`,
		`bo> {"type":"join","call":"$call"}`, `bo< {"type":"error","code":"no-such-call","call":"$call"}`,
		`bo> {"type":"send","call":"$call","kind":"x","data":1}`, `bo< {"type":"error","code":"no-such-call"}`,
	),
	"a call of three": lines(helloLines("al"), helloLines("bo"), helloLines("cy"), helloLines("di"),
		`al> {"type":"create","max":3}`, `al< {"type":"created","call":"$call","max":3}`,
		`bo> {"type":"join","call":"$call"}`, `bo< {"type":"joined"}`, `al< {"type":"party-joined"}`,
		`cy> {"type":"join","call":"$call"}`, `cy< {"type":"joined"}`, `al< {"type":"party-joined"}`, `bo< {"type":"party-joined"}`,
		`di> {"type":"join","call":"$call"}`, `di< {"type":"error","code":"call-full"}`,
		`di> {"type":"hangup","call":"$call"}`, `di< {"type":"error","code":"not-in-call"}`,
		`al> {"type":"send","call":"$call","toId":"$cy","kind":"offer","data":1}`, `cy< {"type":"message","data":1}`,
		`al> {"type":"send","call":"$call","kind":"mood","data":2}`, `cy< {"type":"message","data":2}`, `bo< {"type":"message","data":2}`,
		`bo> {"type":"leave","call":"$call"}`, `al< {"type":"party-left","id":"$bo","reason":"left"}`, `cy< {"type":"party-left"}`,
		`cy> {"type":"bye"}`, `al< {"type":"party-left","id":"$cy","reason":"gone"}`,
		`al> {"type":"create","max":4}`, `al< {"type":"error","code":"call-limit"}`,
	),
	"sequence numbers of the client": lines(helloLines("al"), helloLines("bo"),
		`al> {"type":"send","to":"bo","kind":"x","data":1,"seq":1}`, `bo< {"type":"message","data":1}`,
		`al> {"type":"send","to":"bo","kind":"x","data":1,"seq":1}`,
		`al> {"type":"send","to":"bo","kind":"x","data":3,"seq":3,"ref":9}`, `al< {"type":"error","code":"out-of-order","ack":1,"ref":9}`,
		`al> {"type":"send","to":"bo","kind":"x","data":2,"seq":2}`, `bo< {"type":"message","data":2}`,
		`al> {"type":"ping"}`, `al< {"type":"pong","ack":2,"seq":null}`,
	),
	"malformed and unknown messages": lines(helloLines("al"),
		`al> {"type":"fly","ref":1}`, `al< {"type":"error","code":"unknown-type","ref":1}`,
		`al> {"ref":2}`, `al< {"type":"error","code":"bad-message","ref":2}`,
		`al> null`, `al< {"type":"error","code":"bad-message"}`,
		`al> {"type":"send","to":1,"ref":3}`, `al< {"type":"error","code":"bad-message","ref":3}`,
		`al> {"type":"ice"}`, `al< {"type":"ice","iceServers":[{"urls":["stun:h:3478"]},{"urls":["turn:h:3478"],"username":"1:al/","credential":"pw"}]}`,
		`al> {"type":"ice","call":"x"}`, `al< {"type":"error","code":"not-in-call"}`,
		`al> {"type":"leave","call":"x"}`, `al< {"type":"error","code":"no-such-call"}`,
	),
	"resume": lines(helloLines("al"), helloLines("bo"),
		`al> {"type":"send","to":"bo","kind":"x","data":0,"seq":1}`, `bo< {"type":"message","seq":1}`,
		`bo> {"type":"send","to":"al","kind":"x","data":1}`, `al< {"type":"message","data":1,"seq":1}`,
		`bo> {"type":"send","to":"al","kind":"x","data":2}`, `al< {"type":"message","data":2,"seq":2}`,
		`again> {"type":"hello","v":1,"resume":"$alsecret","seq":1}`,
		`again< {"type":"resumed","id":"$al","name":"al","ack":1,"seq":2}`,
		`again< {"type":"message","data":2,"seq":2}`,
		`al< {"type":"bye","reason":"elsewhere","reconnect":false}`, `al. 1000`,
		`bo> {"type":"send","to":"al","kind":"x","data":3}`, `again< {"type":"message","data":3,"seq":3}`,
	),
	"acknowledged messages are not sent again": lines(helloLines("al"), helloLines("bo"),
		`bo> {"type":"send","to":"al","kind":"x","data":1}`, `al< {"type":"message","seq":1}`,
		`al> {"type":"ack","ack":1}`, `al> {"type":"ping"}`, `al< {"type":"pong"}`,
		`again> {"type":"hello","v":1,"resume":"$alsecret"}`, `again< {"type":"error","code":"resync"}`,
		`bo< {"type":"gone","from":"$al"}`,
		`again> {"type":"hello","v":1,"resume":"$alsecret","seq":1}`, `again< {"type":"error","code":"resync"}`,
	),
	"a reloaded page replaces its old session": lines(helloLines("al"), helloLines("bo"),
		`al> {"type":"create"}`, `al< {"type":"created","call":"$call"}`,
		`bo> {"type":"join","call":"$call"}`, `bo< {"type":"joined"}`,
		`new> {"type":"hello","v":1,"name":"al","replace":"$alsecret"}`,
		`bo< {"type":"party-left","id":"$al","reason":"gone"}`, `new< {"type":"welcome","name":"al","id":"$new"}`,
		`new> {"type":"join","call":"$call"}`, `new< {"type":"joined","parties":[{"id":"$bo","name":"bo"}]}`,
		`bo> {"type":"send","to":"al","kind":"x","data":1}`, `bo< {"type":"party-joined","id":"$new"}`, `new< {"type":"message"}`,
		`odd> {"type":"hello","v":1,"name":"cy","replace":"AAAA"}`, `odd< {"type":"welcome","name":"cy"}`,
	),
}

func TestProtocol(t *testing.T) {
	for name, script := range scripts {
		t.Run(name, func(t *testing.T) {
			start(t, func(o *setup) { o.limits.Calls.Parties = 3 }).script(script...)
		})
	}
}

func TestLimits(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*signal.Limits)
		script []string
	}{
		"watched names": {func(l *signal.Limits) { l.WatchedNames = 2 }, lines(helloLines("al"),
			`al> {"type":"watch","names":["a","b","c"],"ref":1}`, `al< {"type":"error","code":"watch-limit","ref":1}`,
			`al> {"type":"watch","names":["a","b"]}`, `al< {"type":"presence"}`, `al< {"type":"presence"}`)},
		"one call per user": {func(l *signal.Limits) { l.Calls.OnePerUser = true }, lines(helloLines("al"),
			`al> {"type":"create"}`, `al< {"type":"created"}`, `al> {"type":"create"}`, `al< {"type":"error","code":"in-call"}`)},
		"bytes that a call keeps": {func(l *signal.Limits) { l.Calls.KeptBytes = 300 }, lines(helloLines("al"),
			`al> {"type":"create"}`, `al< {"type":"created","call":"$call"}`,
			`al> {"type":"send","call":"$call","kind":"offer","data":1}`,
			`al> {"type":"send","call":"$call","kind":"candidate","data":2,"ref":1}`, `al< {"type":"error","code":"call-full-of-data","ref":1}`)},
		"bytes that all calls keep": {func(l *signal.Limits) { l.Calls.KeptTotal = 300 }, lines(helloLines("al"),
			`al> {"type":"create"}`, `al< {"type":"created","call":"$call"}`,
			`al> {"type":"send","call":"$call","kind":"offer","data":1}`,
			`al> {"type":"send","call":"$call","kind":"candidate","data":2,"ref":1}`, `al< {"type":"error","code":"calls-full-of-data","ref":1}`)},
		"the size of a message": {func(l *signal.Limits) { l.MaxMessage = 1024 }, lines(helloLines("al"),
			`al> {"type":"send","to":"bo","kind":"x","data":"`+string(make1k())+`"}`,
			`al< {"type":"error","code":"message-too-large"}`, `al< {"type":"bye","reason":"too-large","reconnect":true}`, `al. 1009`)},
		"the rate of messages": {func(l *signal.Limits) { l.MessageBurst = 3 }, lines(helloLines("al"),
			`al> {"type":"ping"}`, `al> {"type":"ping"}`, `al> {"type":"ping"}`,
			`al< {"type":"pong"}`, `al< {"type":"pong"}`, `al< {"type":"error","code":"rate-limited"}`, `al< {"type":"pong"}`)},
	} {
		t.Run(name, func(t *testing.T) {
			start(t, func(o *setup) { c.change(&o.limits) }).script(c.script...)
		})
	}
}

func make1k() []byte {
	b := make([]byte, 1024)
	for i := range b {
		b[i] = 'x'
	}
	return b
}
