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

// soon is when a certificate should have been renewed.
const soon = 14 * 24 * time.Hour

func (e *examination) certificate() {
	t := e.Config.TLS
	switch {
	case !t.Enabled():
		e.say("certificate", Warning, "tls is off: there is no TURN over TLS, which is what gets through strict firewalls", "set tls, see deploy/README.md")
		return
	case t.SelfSigned:
		e.say("certificate", Warning, "the certificate is self-signed, which browsers refuse", "get one from an authority: tls: {acme: ...}, or certbot")
		return
	}
	served := func(l config.TURNListen) bool { return slices.ContainsFunc(l.Transports, config.Transport.Encrypted) }
	if !slices.ContainsFunc(e.Config.TURN.Listen, served) {
		e.say("certificate", Problem, "tls is on, and no listener of turn.listen has tls or dtls", `add {address: ":5349", transports: [tls, dtls]} to turn.listen`)
	}
	if t.Certificate != "" {
		e.certificateFile(t.Certificate)
	}
}

func (e *examination) certificateFile(name string) {
	text, err := e.read(name)
	if err != nil {
		e.say("certificate", Problem, err.Error(), "")
		return
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		e.say("certificate", Problem, name+" holds no PEM block", "")
		return
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		e.say("certificate", Problem, fmt.Sprintf("%s: %v", name, err), "")
		return
	}
	const renew = "certbot renew, and see that the hook in /etc/letsencrypt/renewal-hooks/deploy/icebox copies it"
	bad := false
	tell := func(level Level, text, fix string) {
		bad = true
		e.say("certificate", level, text, fix)
	}
	switch left := c.NotAfter.Sub(e.Now()); {
	case left <= 0:
		tell(Problem, fmt.Sprintf("the certificate in %s expired on %s", name, c.NotAfter.Format(time.DateOnly)), renew)
	case left < soon:
		tell(Warning, fmt.Sprintf("the certificate in %s expires on %s and has not been renewed", name, c.NotAfter.Format(time.DateOnly)), renew)
	case e.Now().Before(c.NotBefore):
		tell(Problem, fmt.Sprintf("the certificate in %s is valid from %s on", name, c.NotBefore.Format(time.DateTime)), "set the clock")
	}
	if host := string(e.Config.PublicHost); host != "" && c.VerifyHostname(host) != nil {
		tell(Problem, fmt.Sprintf("the certificate in %s is for %s, and clients come to %s", name, strings.Join(c.DNSNames, ", "), host), "get one that names "+host)
	}
	if !bad {
		e.say("certificate", OK, fmt.Sprintf("the certificate is good until %s", c.NotAfter.Format(time.DateOnly)), "")
	}
}

// keyFile sees whether the daemon's user may read the key: who runs the doctor often
// may read more.
func (e *examination) keyFile() {
	name := e.Config.TLS.Key
	if name == "" {
		return
	}
	info, err := e.stat(name)
	if err != nil {
		e.say("key", Problem, err.Error(), "")
		return
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	uid, gid, found := e.user("icebox")
	if !ok || !found {
		e.say("key", Unknown, "there is no user icebox who would have to read "+name, "")
		return
	}
	mode := info.Mode().Perm()
	fix := fmt.Sprintf("chgrp icebox %s && chmod 640 %s", name, name)
	switch {
	case mode&0o004 != 0:
		e.say("key", Warning, fmt.Sprintf("every user of this host may read the key in %s", name), fix)
	case int(owner.Uid) == uid && mode&0o400 != 0, int(owner.Gid) == gid && mode&0o040 != 0:
		e.say("key", OK, "the user icebox may read the key, and nobody else", "")
	default:
		e.say("key", Problem, fmt.Sprintf("the user icebox may not read the key in %s, whose mode is %04o", name, mode), fix)
	}
}

// user finds an account in the host's files.
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
