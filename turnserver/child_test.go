package turnserver

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// child is a server in a process of its own, see childmain_test.go, from its parent's side.
type child struct {
	t      testing.TB
	stdin  io.WriteCloser
	stdout *json.Decoder
	stderr bytes.Buffer // to be read after ended
	ended  chan struct{}
	addrs  childAddrs
}

// startChild runs a child; spec is the value of childEnv.
func startChild(t testing.TB, spec string) *child {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+spec, "GORACE=atexit_sleep_ms=0") // don't linger
	c := &child{t: t, ended: make(chan struct{})}
	cmd.Stderr = &c.stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, stdoutEnd, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = stdoutEnd
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.stdin, c.stdout = stdin, json.NewDecoder(stdout)
	go func() {
		_ = cmd.Wait() // how it ended is read from its last words
		close(c.ended)
	}()
	t.Cleanup(func() {
		stdin.Close()
		defer cancel()
		select {
		case <-c.ended:
		case <-time.After(patience):
			cancel()
			<-c.ended
			t.Error("the child did not end by itself")
		}
		stdout.Close()
	})
	stdoutEnd.Close()
	if err := c.stdout.Decode(&c.addrs); err != nil {
		t.Fatalf("no addresses from child: %v", err)
	}
	return c
}

func (c *child) command(name string) childStats {
	c.t.Helper()
	var s childStats
	if _, err := io.WriteString(c.stdin, name+"\n"); err != nil {
		c.t.Fatalf("tell the child: %v", err)
	}
	if err := c.stdout.Decode(&s); err != nil {
		c.t.Fatalf("ask the child: %v", err)
	}
	return s
}

func (c *child) stats() childStats { c.t.Helper(); return c.command("stats") }

// await asks until good holds.
func (c *child) await(what string, good func(childStats) bool) childStats {
	c.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; <-tick.C {
		s := c.stats()
		if good(s) {
			return s
		}
		if time.Now().After(end) {
			c.t.Fatalf("%s: not so in %+v", what, s)
		}
	}
}

// lastWords waits for the child to end by itself and returns what it wrote to standard error.
func (c *child) lastWords() string {
	c.t.Helper()
	select {
	case <-c.ended:
		return c.stderr.String()
	case <-time.After(patience):
		c.t.Fatal("the child lives")
		return ""
	}
}

func (c *child) dial(transport string) *client {
	c.t.Helper()
	if transport == "udp4" {
		return dial(c.t, transport, c.addrs.UDP)
	}
	return dial(c.t, transport, c.addrs.TCP)
}

// serves asserts that a client who comes now, over either transport, is relayed both ways.
func (c *child) serves() {
	c.t.Helper()
	for _, transport := range []string{"udp4", "tcp4"} {
		k, p := c.dial(transport), newPeer(c.t, loopback4)
		relayed := k.allocate(0)
		k.must(k.permit(p.addr), 0)
		k.sendTo(p.addr, "to the peer")
		p.want(relayed, "to the peer")
		p.send(relayed, "and back")
		k.wantData(p.addr, "and back")
	}
}
