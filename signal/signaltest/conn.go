package signaltest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"
)

// Conn is a WebSocket client. It reads, and so answers pings, only during [Conn.Next] and the methods that call it, unless
// [Conn.ReadInBackground] was called.
type Conn struct {
	*gorilla.Conn
	TB       testing.TB    // the test that fails
	Patience time.Duration // limits each read; 0 means no limit, for tests whose clock is not the real one

	inbox chan []byte // the messages, if they are read in the background; closed when the connection ends
	end   error       // why the connection ended; set before inbox is closed
}

// Dial opens a WebSocket at an http or ws URL and closes it when the test ends. If the server refuses the handshake, Dial returns
// nil and the HTTP status.
func Dial(tb testing.TB, url string, h http.Header) (c *Conn, status int) {
	tb.Helper()
	return DialWith(tb, gorilla.DefaultDialer, url, h)
}

// DialWith is Dial with a dialer.
func DialWith(tb testing.TB, d *gorilla.Dialer, url string, h http.Header) (c *Conn, status int) {
	tb.Helper()
	if rest, isHTTP := strings.CutPrefix(url, "http"); isHTTP {
		url = "ws" + rest
	}
	ws, resp, err := d.DialContext(tb.Context(), url, h) //nolint:bodyclose // gorilla has read the body; closing it does nothing
	if resp == nil {
		tb.Fatal(err)
	}
	if err != nil {
		return nil, resp.StatusCode
	}
	tb.Cleanup(func() { _ = ws.Close() })
	return &Conn{Conn: ws, TB: tb, Patience: Patience}, resp.StatusCode
}

// MustDial is DialWith for a handshake that has to succeed.
func MustDial(tb testing.TB, d *gorilla.Dialer, url string) *Conn {
	tb.Helper()
	c, status := DialWith(tb, d, url, nil)
	if c == nil {
		tb.Fatalf("%s: the handshake was refused with status %d", url, status)
	}
	return c
}

// ReadInBackground starts a goroutine that reads the connection until it ends, as browsers do, and returns c.
func (c *Conn) ReadInBackground() *Conn {
	c.inbox = make(chan []byte, 1024)
	go func() {
		defer close(c.inbox)
		for {
			_, message, err := c.ReadMessage()
			if err != nil {
				c.end = err
				return
			}
			c.inbox <- message
		}
	}()
	c.TB.Cleanup(func() {
		_ = c.Close()
		c.Drain()
	})
	return c
}

// Drain discards messages that are read in the background until the connection ends.
func (c *Conn) Drain() {
	for range c.inbox {
	}
}

// Send sends a text message.
func (c *Conn) Send(text string) {
	c.TB.Helper()
	if err := c.WriteMessage(gorilla.TextMessage, []byte(text)); err != nil {
		c.TB.Fatalf("send %.60q: %v", text, err)
	}
}

// Sendf sends a text message that it formats with fmt.Sprintf.
func (c *Conn) Sendf(format string, args ...any) {
	c.TB.Helper()
	c.Send(fmt.Sprintf(format, args...))
}

// Next returns the next message, or the error that ended the connection.
func (c *Conn) Next() ([]byte, error) {
	if c.inbox == nil {
		if c.Patience > 0 {
			_ = c.SetReadDeadline(time.Now().Add(c.Patience))
		}
		_, message, err := c.ReadMessage()
		return message, err
	}
	select {
	case message, ok := <-c.inbox:
		if !ok {
			return nil, c.end
		}
		return message, nil
	case <-time.After(c.Patience):
		return nil, errors.New("no message arrived in time")
	}
}

// MustNext returns the next message.
func (c *Conn) MustNext() []byte {
	c.TB.Helper()
	message, err := c.Next()
	if err != nil {
		c.TB.Fatal(err)
	}
	return message
}

// Want checks that the next messages equal texts, byte for byte.
func (c *Conn) Want(texts ...string) {
	c.TB.Helper()
	for _, want := range texts {
		if got, err := c.Next(); err != nil || string(got) != want {
			c.TB.Fatalf("got %.1000s, %v\nwant %.1000s", got, err, want)
		}
	}
}

// WantClose checks that the connection ends with this close code, and without a further message.
func (c *Conn) WantClose(code int) {
	c.TB.Helper()
	if got, err := c.Next(); !gorilla.IsCloseError(err, code) {
		c.TB.Fatalf("got %.1000s, %v, want close code %d", got, err, code)
	}
}

// SkipToClose discards messages until the connection ends, and checks the close code.
func (c *Conn) SkipToClose(code int) {
	c.TB.Helper()
	for {
		if _, err := c.Next(); err != nil {
			if !gorilla.IsCloseError(err, code) {
				c.TB.Fatalf("the connection ended with %v, want close code %d", err, code)
			}
			return
		}
	}
}
