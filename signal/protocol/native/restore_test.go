package native_test

import "testing"

// Two clients continue a call on a server that has restarted. The first one restores it, and the second one joins it. A
// stranger that knows only the ID can't restore it.
func TestCallContinuesAfterRestart(t *testing.T) {
	secret := func(o *setup) { o.native.Secret = []byte("secret of both servers") }
	before := start(t, secret)
	made := before.raw("/ws")
	made.Send(`{"type":"hello","v":1}`)
	made.receive()
	made.Send(`{"type":"create"}`)
	created := made.receive()
	call, proof := created["call"].(string), created["restore"].(string)

	join := `{"type":"join","ref":1,"call":"` + call + `"`
	start(t, secret).script(lines(helloLines("al"), helloLines("bo"), helloLines("eve"),
		`eve> `+join+`}`, `eve< {"type":"error","code":"no-such-call"}`,
		`eve> `+join+`,"restore":"AAAA"}`, `eve< {"type":"error","code":"no-such-call"}`,
		`al> `+join+`,"restore":"`+proof+`"}`, `al< {"type":"joined","ref":1,"call":"`+call+`","max":2,"restore":"*","ttl":3600}`,
		`bo> `+join+`,"restore":"`+proof+`"}`, `bo< {"type":"joined","call":"`+call+`","parties":[{"id":"$al","name":"al"}]}`,
		`al< {"type":"party-joined","id":"$bo"}`,
		`al> {"type":"hangup","call":"`+call+`"}`, `bo< {"type":"ended","reason":"hangup"}`,
		`bo> `+join+`,"restore":"`+proof+`"}`, `bo< {"type":"error","code":"no-such-call"}`,
	)...)
}
