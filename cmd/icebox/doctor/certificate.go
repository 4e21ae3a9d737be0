package doctor

import (
	"bufio"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"icebox/config"
)

// soon is the remaining lifetime below which the doctor warns that a certificate has not been renewed.
const soon = 14 * 24 * time.Hour

func (e *examination) certificate() {
	t := e.Config.TLS
	switch {
	case !t.Enabled():
		e.report("certificate", Warning, "tls is off, so there is no TURN over TLS, which many clients behind strict firewalls need", "set tls, see deploy/README.md")
		return
	case t.SelfSigned:
		e.report("certificate", Warning, "the certificate is self-signed, and browsers refuse it", "get one from an authority, with tls: {acme: ...} or certbot")
		return
	}
	served := func(l config.TURNListen) bool { return slices.ContainsFunc(l.Transports, config.Transport.Encrypted) }
	if !slices.ContainsFunc(e.Config.TURN.Listen, served) {
		e.report("certificate", Problem, "tls is on, but no listener of turn.listen has tls or dtls", `add {address: ":5349", transports: [tls, dtls]} to turn.listen`)
	}
	if t.Certificate != "" {
		e.certificateFile(t.Certificate)
	}
}

func (e *examination) certificateFile(name string) {
	text, err := e.read(name)
	if err != nil {
		e.report("certificate", Problem, err.Error(), "")
		return
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		e.report("certificate", Problem, name+" has no PEM block", "")
		return
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		e.report("certificate", Problem, fmt.Sprintf("%s: %v", name, err), "")
		return
	}
	const renew = "run certbot renew, and check that the hook /etc/letsencrypt/renewal-hooks/deploy/icebox copies the certificate"
	bad := false
	report := func(level Level, text, fix string) {
		bad = true
		e.report("certificate", level, text, fix)
	}
	switch left := c.NotAfter.Sub(e.Now()); {
	case left <= 0:
		report(Problem, fmt.Sprintf("the certificate in %s expired on %s", name, c.NotAfter.Format(time.DateOnly)), renew)
	case left < soon:
		report(Warning, fmt.Sprintf("the certificate in %s expires on %s and has not been renewed", name, c.NotAfter.Format(time.DateOnly)), renew)
	case e.Now().Before(c.NotBefore):
		report(Problem, fmt.Sprintf("the certificate in %s is not valid before %s", name, c.NotBefore.Format(time.DateTime)), "set the clock")
	}
	if host := string(e.Config.PublicHost); host != "" && c.VerifyHostname(host) != nil {
		report(Problem, fmt.Sprintf("the certificate in %s is for %s, but clients come to %s", name, strings.Join(c.DNSNames, ", "), host), "get a certificate for "+host)
	}
	if !bad {
		e.report("certificate", OK, fmt.Sprintf("the certificate is valid until %s", c.NotAfter.Format(time.DateOnly)), "")
	}
}

// keyFile checks whether the daemon's user may read the key. It checks the mode of the file instead of reading it,
// because the user that runs the doctor is often root.
func (e *examination) keyFile() {
	name := e.Config.TLS.Key
	if name == "" {
		return
	}
	info, err := e.stat(name)
	if err != nil {
		e.report("key", Problem, err.Error(), "")
		return
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	uid, gid, found := e.user("icebox")
	if !ok || !found {
		e.report("key", Unknown, "whether the daemon may read "+name+" is unknown, because this host has no user icebox", "")
		return
	}
	mode := info.Mode().Perm()
	fix := fmt.Sprintf("chgrp icebox %s && chmod 640 %s", name, name)
	switch {
	case mode&0o004 != 0:
		e.report("key", Warning, fmt.Sprintf("every user of this host may read the key in %s", name), fix)
	case int(owner.Uid) == uid && mode&0o400 != 0, int(owner.Gid) == gid && mode&0o040 != 0:
		e.report("key", OK, "the user icebox may read the key, and nobody else", "")
	default:
		e.report("key", Problem, fmt.Sprintf("the user icebox may not read the key in %s, whose mode is %04o", name, mode), fix)
	}
}

// user returns the IDs of an account of the host.
func (e *examination) user(name string) (uid, gid int, found bool) {
	text, err := e.read("/etc/passwd")
	if err != nil {
		return 0, 0, false
	}
	for s := bufio.NewScanner(strings.NewReader(text)); s.Scan(); {
		f := strings.Split(s.Text(), ":")
		if len(f) < 4 || f[0] != name {
			continue
		}
		uid, err1 := strconv.Atoi(f[2])
		gid, err2 := strconv.Atoi(f[3])
		return uid, gid, err1 == nil && err2 == nil
	}
	return 0, 0, false
}
