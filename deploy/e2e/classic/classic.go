// Package classic is a client of the signalling protocol that many tutorials teach, written as
// their clients are: it exchanges JSON text frames and ignores whatever else arrives. The server of
// such a tutorial is in server.mjs.
package classic

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// Message is any message of the protocol, in either direction.
type Message struct {
	Type       string          `json:"type"`
	Name       string          `json:"name,omitempty"`
	Success    bool            `json:"success,omitempty"`
	Offer      json.RawMessage `json:"offer,omitempty"`
	Answer     json.RawMessage `json:"answer,omitempty"`
	Candidate  json.RawMessage `json:"candidate,omitempty"`
	ICEServers []ICEServer     `json:"iceServers,omitempty"`
	Message    string          `json:"message,omitempty"`
	Code       string          `json:"code,omitempty"`
}

// ICEServer is one of the ICE servers that a sign-in returns.
type ICEServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
}

// Within limits every read and write.
const Within = 10 * time.Second

// Client is one connection. One goroutine may call Send while another calls Receive.
type Client struct {
	conn *websocket.Conn
}

// Options configure the connection. The zero value makes a plain one.
type Options struct {
	TLS    *tls.Config
	Header http.Header
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
}

// Dial connects to url, and closes the connection when the test ends.
func Dial(t testing.TB, url string, o Options) *Client {
	t.Helper()
	c, _, err := TryDial(url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // the test may already have closed it
	return c
}

// TryDial is like Dial, for a connection that the server may refuse. It sends the Origin header of
// a page on the same host. The returned HTTP status is 0 if there was no response.
func TryDial(url string, o Options) (*Client, int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), Within)
	defer cancel()
	d := websocket.Dialer{TLSClientConfig: o.TLS, NetDialContext: o.Dial}
	header := o.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set("Origin", origin(url))
	conn, reply, err := d.DialContext(ctx, url, header)
	status := 0
	if reply != nil {
		status = reply.StatusCode
	}
	if err != nil {
		return nil, status, fmt.Errorf("connect to %s: %w", url, err)
	}
	return &Client{conn}, status, nil
}

// Close closes the connection without a WebSocket close frame.
func (c *Client) Close() error { return c.conn.Close() }

// Send sends one message.
func (c *Client) Send(m Message) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(Within)); err != nil {
		return err
	}
	return c.conn.WriteJSON(m)
}

// Receive returns the next message that is valid JSON. It skips others, such as a greeting, as a
// tutorial's client does.
func (c *Client) Receive() (Message, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(Within)); err != nil {
		return Message{}, err
	}
	return c.next()
}

// Next is Receive without a deadline, for a goroutine that reads as long as the connection lasts.
func (c *Client) Next() (Message, error) {
	if err := c.conn.SetReadDeadline(time.Time{}); err != nil {
		return Message{}, err
	}
	return c.next()
}

func (c *Client) next() (Message, error) {
	for {
		_, text, err := c.conn.ReadMessage()
		if err != nil {
			return Message{}, fmt.Errorf("receive: %w", err)
		}
		var m Message
		if json.Unmarshal(text, &m) == nil {
			return m, nil
		}
	}
}

// Login signs in and returns the ICE servers of the reply.
func (c *Client) Login(t testing.TB, name string) []ICEServer {
	t.Helper()
	if err := c.Send(Message{Type: "login", Name: name}); err != nil {
		t.Fatal(err)
	}
	m := c.Expect(t, "login")
	if !m.Success {
		t.Fatalf("the name %q was refused: %s", name, m.Message)
	}
	return m.ICEServers
}

// LoginSoon signs in under a name whose previous connection has just closed. It repeats the login,
// because the Node.js server may not have noticed the close yet.
func (c *Client) LoginSoon(t testing.TB, name string) {
	t.Helper()
	var m Message
	for end := time.Now().Add(Within); !m.Success; {
		if err := c.Send(Message{Type: "login", Name: name}); err != nil {
			t.Fatal(err)
		}
		if m = c.Expect(t, "login"); !m.Success && time.Now().After(end) {
			t.Fatalf("the name %q was refused: %s", name, m.Message)
		}
	}
}

// Expect receives the next message, which must be of the given type.
func (c *Client) Expect(t testing.TB, kind string) Message {
	t.Helper()
	m, err := c.Receive()
	if err != nil {
		t.Fatalf("waiting for %s: %v", kind, err)
	}
	if m.Type != kind {
		t.Fatalf("received %+v, want a message of type %s", m, kind)
	}
	return m
}

// origin returns the Origin header that a browser sends for a page on the host of url.
func origin(url string) string {
	scheme, rest, _ := strings.Cut(url, "://")
	host, _, _ := strings.Cut(rest, "/")
	return strings.Replace(scheme, "ws", "http", 1) + "://" + host
}
