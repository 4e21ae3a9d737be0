package turnserver

import (
	"sync"
	"testing"

	"icebox/turnserver/wire"
)

// An operator may end a session at any moment, even while it is being created. Afterwards its client can allocate again, and its relayed
// address belongs to no session.
func TestEndWhileItBegins(t *testing.T) {
	ts := serveInMemory(t, newMemoryNet(), nil)
	c := ts.link(t, memoryHome)
	c.login()
	stop := make(chan struct{})
	var killer sync.WaitGroup
	killer.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				ts.End(func(*SessionInfo) bool { return true })
			}
		}
	})
	path := c.conn.(*memoryLink).path
	for range 300 {
		m := c.do(wire.Allocate, udpTransport)
		c.must(m, 0)
		for len(ts.Sessions()) > 0 {
			// the other goroutine ends sessions
		}
		if sess := path.session(memoryHome); sess != nil {
			t.Error("the client keeps a session that has ended")
			path.detach(sess)
		}
		if sess, _ := ts.liveRelay(relayedOf(t, m)[0]); sess != nil {
			t.Error("the relayed address keeps a session that has ended")
		}
		if t.Failed() {
			break
		}
	}
	close(stop)
	killer.Wait()
}
