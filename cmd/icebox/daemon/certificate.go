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

// certificate is where HTTPS, TURN over TLS and DTLS have theirs from. At most
// one of files and acme is there; without either it is self-signed.
type certificate struct {
	source certs.Source // nil without tls
	files  *certs.Files
	acme   *certs.ACME
}

// openCertificate finds the source that the configuration names.
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

// watch keeps the certificate new until ctx ends.
func (c *certificate) watch(ctx context.Context) {
	switch {
	case c.files != nil:
		c.files.Watch(ctx)
	case c.acme != nil:
		c.acme.Run(ctx)
	}
}

// tls is a server's configuration with the certificate, nil without one.
func (c *certificate) tls(protocols ...string) *tls.Config {
	if c.source == nil {
		return nil
	}
	t := c.source.Config(protocols...)
	if c.acme != nil {
		c.acme.TLS(t)
	}
	return t
}

// plain lets an authority ask on a plain listener.
func (c *certificate) plain(h http.Handler) http.Handler {
	if c.acme == nil {
		return h
	}
	return c.acme.HTTP(h)
}

// alarm is how long before its end a certificate that nobody has renewed is worth a
// warning: a week, or a quarter of its life if it is short.
const alarm = 7 * 24 * time.Hour

// problems are what an operator should mend.
func (c *certificate) problems(now time.Time) []string {
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
		case left < min(alarm, life/4):
			add(fmt.Sprintf("the certificate expires in %s and has not been renewed", left.Round(time.Minute)))
		}
	}
	return all
}

// expiry is for the metric.
func (c *certificate) expiry() float64 {
	pair, err := c.source()
	if err != nil {
		return 0
	}
	return math.Trunc(float64(pair.Leaf.NotAfter.UnixNano()) / 1e9)
}
