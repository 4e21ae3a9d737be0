package native_test

import "testing"

// TestCallOutlivesServer has two clients go on with a call on a server that has restarted: the first makes it again, the
// second finds it there, and a stranger who knows the ID alone can do neither before that.
func TestCallOutlivesServer(t *testing.T) {
	secret := func(o *setup) { o.native.Secret = []byte("outlives the server") }
	before := start(t, secret)
	made := before.raw("/ws")
	made.send(`{"type":"hello","v":1}`)
	made.receive()
	made.send(`{"type":"create"}`)
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
