package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"icebox/cmd/icebox/certs"
	"icebox/config"
)

// certificate is the source of the certificate of HTTPS, TURN over TLS and DTLS. At most one of files and acme is not nil. If
// both are nil, the certificate is self-signed.
type certificate struct {
	source certs.Source // nil if tls is off
	files  *certs.Files
	acme   *certs.ACME
}

// openCertificate opens the source that the configuration asks for.
func (d *Daemon) openCertificate() (err error) {
	switch t := d.cfg().TLS; {
	case t.SelfSigned:
		d.certificate.source, err = certs.SelfSigned(d.state, d.host.CertificateNames(d.cfg()), nil)
	case t.ACME.Enabled():
		err = d.openACME(t.ACME)
	case t.Enabled():
		if d.files, err = certs.NewFiles(t.Certificate, t.Key, d.log.With("component", "tls")); err == nil {
			d.source = d.files.Get
		}
	}
	if d.source != nil {
		d.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "icebox_certificate_expiry_timestamp_seconds", Help: "When the certificate in use expires; 0 while there is none.",
		}, d.certificate.expiry))
	}
	return err
}

func (d *Daemon) openACME(c config.ACME) (err error) {
	o := certs.ACMEOptions{
		Email: c.Email, Directory: c.Directory, Log: d.log.With("component", "acme"),
		Plain: slices.ContainsFunc(d.cfg().HTTP.Listen, func(l config.HTTPListen) bool { return !l.TLS }),
	}
	for _, name := range c.Names {
		o.Names = append(o.Names, string(name))
	}
	if c.Authority != "" {
		pem, err := os.ReadFile(c.Authority)
		if err != nil {
			return fmt.Errorf("tls.acme.authority: %w", config.Unreadable(c.Authority, err))
		}
		o.Roots = x509.NewCertPool()
		o.Roots.AppendCertsFromPEM(pem)
	}
	if d.acme, err = certs.NewACME(d.state, o); err == nil {
		d.source = d.acme.Get
	}
	return err
}

// watch renews or rereads the certificate when that is due, until ctx is done.
func (c *certificate) watch(ctx context.Context) {
	switch {
	case c.files != nil:
		c.files.Watch(ctx)
	case c.acme != nil:
		c.acme.Run(ctx)
	}
}

// serverConfig returns a TLS configuration for a server, or nil if tls is off.
func (c *certificate) serverConfig(protocols ...string) *tls.Config {
	if c.source == nil {
		return nil
	}
	t := c.source.Config(protocols...)
	if c.acme != nil {
		c.acme.TLS(t)
	}
	return t
}

// withChallenges returns a handler that answers the HTTP requests with which an ACME authority validates a name. It
// passes all other requests to h.
func (c *certificate) withChallenges(h http.Handler) http.Handler {
	if c.acme == nil {
		return h
	}
	return c.acme.HTTP(h)
}

// The daemon warns if the certificate expires within expiryWarning and has not been renewed. If a quarter of the
// certificate's lifetime is shorter, it warns within that time instead.
const expiryWarning = 7 * 24 * time.Hour

// certificateWarnings returns the warnings about the certificate at the time now.
func (c *certificate) certificateWarnings(now time.Time) []string {
	var all []string
	add := func(text string) {
		if text != "" {
			all = append(all, text)
		}
	}
	switch {
	case c.files != nil:
		add(c.files.Problem())
	case c.acme != nil:
		add(c.acme.Problem())
	}
	if c.source == nil {
		return all
	}
	if pair, err := c.source(); err == nil {
		left, life := pair.Leaf.NotAfter.Sub(now), pair.Leaf.NotAfter.Sub(pair.Leaf.NotBefore)
		switch {
		case left <= 0:
			add("the certificate expired on " + pair.Leaf.NotAfter.Format(time.DateOnly) + ": clients refuse it")
		case left < min(expiryWarning, life/4):
			add(fmt.Sprintf("the certificate expires in %s and has not been renewed", left.Round(time.Minute)))
		}
	}
	return all
}

// expiry returns when the certificate expires in Unix time, or 0 without one.
func (c *certificate) expiry() float64 {
	pair, err := c.source()
	if err != nil {
		return 0
	}
	return math.Trunc(float64(pair.Leaf.NotAfter.UnixNano()) / 1e9)
}
