package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Bounds of signal.limits.max_message.
const (
	minMessage Size = 1 << 10
	maxMessage Size = 16 << 20
)

// minQueue is the shortest queue in messages, because a call starts with several messages at a time.
const minQueue = 8

func (c *checker) signal() {
	s := &c.Signal
	if s.Access == ByKey && len(s.Keys) == 0 {
		c.fail("signal.access", "is key, but signal.keys is empty: nobody could sign in")
	}
	if m := s.Limits.MaxMessage; m < minMessage || m > maxMessage {
		c.fail("signal.limits.max_message", "want 1KiB to 16MiB, got %d bytes", m)
	}
	if s.Limits.QueueSize < s.Limits.MaxMessage {
		c.fail(c.written("signal.limits.queue_size", "signal.limits.max_message"),
			"a queue_size of %d bytes cannot hold one message of %d bytes", s.Limits.QueueSize, s.Limits.MaxMessage)
	}
	if s.Limits.ResumeSize < s.Limits.MaxMessage {
		c.fail(c.written("signal.limits.resume_size", "signal.limits.max_message"),
			"a resume_size of %d bytes cannot hold one message of %d bytes", s.Limits.ResumeSize, s.Limits.MaxMessage)
	}
	if w, least := s.Limits.WaitingPerAddress, s.Limits.QueueSize+s.Limits.ResumeSize; w > 0 && w < least {
		c.fail(c.written("signal.limits.waiting_per_address", "signal.limits.queue_size"),
			"a waiting_per_address of %d bytes cannot hold the queue_size and resume_size of one client, %d bytes", w, least)
	}
	if w := s.Limits.Waiting; w > 0 && w < s.Limits.WaitingPerAddress {
		c.fail(c.written("signal.limits.waiting", "signal.limits.waiting_per_address"),
			"%d bytes are less than waiting_per_address, %d bytes", w, s.Limits.WaitingPerAddress)
	}
	if s.Limits.ResumeMessages < minQueue {
		c.fail("signal.limits.resume_messages", "want %d or more, got %d", minQueue, s.Limits.ResumeMessages)
	}
	c.between("signal.limits.resume", s.Limits.Resume, time.Second, time.Hour)
	c.jwt()
	c.calls()
	c.positive("signal.topics.", map[string]int{"per_client": s.Topics.PerClient, "subscribers": s.Topics.Subscribers})
	c.pocketbase()
	if s.Limits.QueueMessages < minQueue {
		c.fail("signal.limits.queue_messages", "want %d or more, got %d", minQueue, s.Limits.QueueMessages)
	}
	c.positive("signal.limits.", map[string]int{
		"messages_per_second": s.Limits.MessagesPerSecond, "message_burst": s.Limits.MessageBurst,
	})
	names, keys := make(unique), make(unique)
	for i := range s.Keys {
		k := &s.Keys[i]
		path := fmt.Sprintf("signal.keys[%d]", i)
		c.required(path, "name")
		if c.has(join(path, "name")) && (k.Name == "" || !printable(k.Name)) {
			c.fail(join(path, "name"), "is empty or cannot be printed")
		}
		names.check(c, join(path, "name"), k.Name, fmt.Sprintf("%q", k.Name))
		at := c.secret(path, "key", &k.Key, &k.File)
		if n := len(k.Key.value); n < minSecret {
			c.fail(at, "has %d bytes, want at least %d", n, minSecret)
		}
		keys.check(c, at, k.Key.value, "this key")
	}
}

func (c *checker) http() {
	h := &c.HTTP
	if len(h.Listen) == 0 && len(c.TURN.Listen) == 0 {
		c.fail("http.listen", "is empty and so is turn.listen: there is nothing to serve")
	}
	for i, l := range h.Listen {
		path := fmt.Sprintf("http.listen[%d]", i)
		if l.Address == (Endpoint{}) {
			c.required(path, "address")
		}
		if l.TLS && !c.TLS.Enabled() {
			c.fail(join(path, "tls"), "needs a certificate: set tls at the top of the file")
		}
		c.protocols(path, l.Protocols)
	}
	c.redirects()
	seen := make(unique)
	for i := range h.Origins {
		path := fmt.Sprintf("http.origins[%d]", i)
		if !c.has(path) {
			continue
		}
		if err := origin(h.Origins[i].Origin); err != nil {
			c.fail(path, "%w", err)
		}
		seen.check(c, path, h.Origins[i].Origin, h.Origins[i].Origin)
	}
}

// redirects checks the listeners that only redirect.
func (c *checker) redirects() {
	secure := slices.ContainsFunc(c.HTTP.Listen, func(l HTTPListen) bool { return l.TLS })
	for i, l := range c.HTTP.Listen {
		path := fmt.Sprintf("http.listen[%d].redirect", i)
		switch {
		case !l.Redirect:
		case l.TLS || l.Classic != (Classic{}) || len(l.Protocols) > 0:
			c.fail(path, "a listener that only redirects cannot have tls, classic or protocols")
		case !secure && c.PublicHost == "":
			c.fail(path, "has no target: no http.listen has tls, and public_host is unset")
		}
	}
}

// origin checks that text is what a browser sends in the Origin header.
func origin(text string) error {
	if text == "null" || text == "*" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return fmt.Errorf("want an origin such as https://app.example.org, got %q", text)
	}
	if bare := strings.ToLower(u.Scheme + "://" + u.Host); bare != text {
		return fmt.Errorf("%q is more than an origin: write %s", text, bare)
	}
	if u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80" {
		return fmt.Errorf("browsers leave out the default port: write %s", text[:strings.LastIndex(text, ":")])
	}
	return nil
}

// socket is a socket that the configuration asks for.
type socket struct {
	network string
	at      Endpoint
	path    string
	secure  bool // TLS for the web or TURN
}

// overlaps reports an error for every listener whose port another listener already uses.
func (c *checker) overlaps() {
	var all []socket
	for i, l := range c.TURN.Listen {
		path := fmt.Sprintf("turn.listen[%d]", i)
		if slices.ContainsFunc(l.Transports, Transport.Stream) {
			all = append(all, socket{"tcp", l.Address, path, slices.Contains(l.Transports, OverTLS)})
		}
		if slices.ContainsFunc(l.Transports, func(t Transport) bool { return !t.Stream() }) {
			all = append(all, socket{"udp", l.Address, path, false})
		}
	}
	for i, l := range c.HTTP.Listen {
		path := fmt.Sprintf("http.listen[%d]", i)
		all = append(all, socket{"tcp", l.Address, path, l.TLS})
		if l.STUN {
			all = append(all, socket{"udp", l.Address, path, false})
		}
	}
	all = append(all, socket{"tcp", c.Admin.Address, "admin", false})
	for i, s := range all {
		for _, earlier := range all[:i] {
			if s.network != earlier.network || !s.at.covers(earlier.at) || s.network == "tcp" && c.shares(s.path, earlier.path) {
				continue
			}
			hint := ""
			if s.secure && earlier.secure && s.at != earlier.at {
				hint = ": give both the same address to share the port"
			}
			c.fail(join(s.path, "address"), "%s %s is taken by %s, %s%s", s.network, s.at, earlier.path, earlier.at, hint)
		}
	}
}
