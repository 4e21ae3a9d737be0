package config

import (
	"crypto/tls"
	"crypto/x509"
	"net/mail"
	"net/url"
	"slices"
	"strings"
)

// letsEncrypt is the directory of the default authority.
const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

func (c *checker) tls() {
	t := &c.TLS
	switch {
	case t.ACME.Enabled():
		if t.Certificate != "" || t.Key != "" {
			c.fail("tls", "has files and acme: set only one of them")
			return
		}
		c.acme()
	case !t.SelfSigned && (t.Enabled() || c.has("tls.certificate") || c.has("tls.key")):
		c.tlsFiles()
	}
}

func (c *checker) tlsFiles() {
	t := &c.TLS
	c.required("tls", "certificate", "key")
	if t.Certificate == "" || t.Key == "" {
		c.fail("tls", "certificate and key each need a file name")
		return
	}
	t.Certificate, t.Key = c.resolve(t.Certificate), c.resolve(t.Key)
	certificate, _, err := c.readFile(t.Certificate)
	if err != nil {
		c.fail("tls.certificate", "%w", err)
	}
	key, mode, err := c.readFile(t.Key)
	if err != nil {
		c.fail("tls.key", "%w", err)
	}
	if mode&0o004 != 0 {
		c.warn("tls.key", "every user of this host can read %s: run chmod 640 on it", t.Key)
	}
	if certificate == nil || key == nil {
		return
	}
	if _, err := tls.X509KeyPair(certificate, key); err != nil {
		c.fail("tls", "%s and %s: %w", t.Certificate, t.Key, err)
	}
}

func (c *checker) acme() {
	a := &c.TLS.ACME
	if len(a.Names) == 0 {
		if c.PublicHost == "" {
			c.fail("tls.acme", "needs names, or public_host")
			return
		}
		a.Names = []Host{c.PublicHost}
		for _, l := range c.TURN.Listen {
			if l.Public.Host != "" && !slices.Contains(a.Names, l.Public.Host) {
				a.Names = append(a.Names, l.Public.Host)
			}
		}
	}
	for _, name := range a.Names {
		if name.Addr().IsValid() || !strings.Contains(string(name), ".") {
			c.fail(c.written("tls.acme.names", "public_host"), "%q: an authority issues certificates for domain names only", name)
		}
	}
	if u, err := url.Parse(a.Directory); err != nil || u.Scheme != "https" || u.Host == "" {
		c.fail("tls.acme.directory", "want the https URL of an ACME directory, got %q", a.Directory)
	}
	if a.Email != "" {
		if m, err := mail.ParseAddress(a.Email); err != nil || m.Address != a.Email {
			c.fail("tls.acme.email", "want an address such as me@example.org, got %q", a.Email)
		}
	}
	if a.Authority != "" {
		a.Authority = c.resolve(a.Authority)
		pem, _, err := c.readFile(a.Authority)
		if err != nil {
			c.fail("tls.acme.authority", "%w", err)
		} else if !x509.NewCertPool().AppendCertsFromPEM(pem) {
			c.fail("tls.acme.authority", "%s has no certificate in PEM", a.Authority)
		}
	}
	reached := func(l HTTPListen) bool {
		return !l.Address.Loopback() && (l.Address.Port == 80 && !l.TLS || l.Address.Port == 443 && l.TLS)
	}
	if !slices.ContainsFunc(c.HTTP.Listen, reached) {
		c.warn("tls.acme", "the authority connects to port 80, or to 443 with TLS, and no http.listen is there: add {address: \":80\", redirect: true}, "+
			"or let the server on that port pass /.well-known/acme-challenge/ on")
	}
}
