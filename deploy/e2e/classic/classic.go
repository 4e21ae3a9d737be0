// Package classic is a client of the signalling protocol that tutorials teach, written as those clients are: JSON text
// frames, the login's name, and whatever else comes ignored. server.mjs beside it is such a tutorial's server.
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

// Message is any message of the protocol, either way.
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

// ICEServer is one entry of what a sign-in brings.
type ICEServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
}

// Within bounds every read and write.
const Within = 10 * time.Second

// Client is one connection. Send and Receive may be used from two goroutines, one each.
type Client struct {
	conn *websocket.Conn
}

// Options say how to connect; the zero value is good for a plain connection.
type Options struct {
	TLS    *tls.Config
	Header http.Header
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
}

// Dial connects.
func Dial(t testing.TB, url string, o Options) *Client {
	t.Helper()
	c, _, err := TryDial(url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // the test may have closed it
	return c
}

// TryDial is Dial, as a page of the same host does it, for a connection that may be refused; the answer's status is 0 when there was none.
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

// Close drops the connection without a farewell.
func (c *Client) Close() error { return c.conn.Close() }

// Send sends one message.
func (c *Client) Send(m Message) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(Within)); err != nil {
		return err
	}
	return c.conn.WriteJSON(m)
}

// Receive reads the next message that is JSON; a greeting that isn't is passed over, as a tutorial's client does.
func (c *Client) Receive() (Message, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(Within)); err != nil {
		return Message{}, err
	}
	return c.next()
}

// Next is Receive without a deadline, for a reader that lives as long as the connection.
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

// Login signs in and returns the ICE servers that came with the success.
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

// LoginSoon signs in under a name whose holder has just gone. The server on Node may not have noticed yet.
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

// Expect receives a message that has to be of one type.
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

// origin is what a browser would say of a page from the host that serves the WebSocket.
func origin(url string) string {
	scheme, rest, _ := strings.Cut(url, "://")
	host, _, _ := strings.Cut(rest, "/")
	return strings.Replace(scheme, "ws", "http", 1) + "://" + host
}
