package server

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"icebox/deploy/e2e/pki"
)

// NginxOptions configure Debian's Nginx between clients and icebox.
type NginxOptions struct {
	Host    Host   // nil: Here
	Name    string // replaces turn.example.org
	Files   pki.Files
	HTTP    string // host:port that redirects to HTTPS; empty: port 80, as shipped
	HTTPS   string // host:port; empty: port 443, as shipped
	Backend string // icebox's host:port; empty: 127.0.0.1:8080, as shipped
	Relay   string // name for TURN: the shipped stream listens on 443, in front of the site; empty: no stream
	// Buffered keeps Nginx's default buffering, which the shipped site turns off.
	Buffered bool
	// NoWebSocket removes the lines that let WebSockets through.
	NoWebSocket bool
}

// StartNginx starts Nginx with the shipped site. It replaces only names and paths, and, if
// requested, ports.
func StartNginx(t testing.TB, o NginxOptions) *Process {
	t.Helper()
	if o.Host == nil {
		o.Host = Here
	}
	shipped, err := os.ReadFile(filepath.Join(Root(), "deploy", "nginx", "icebox.conf"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	site := write(t, filepath.Join(dir, "site"), o.edit(t, string(shipped), dir))
	conf := write(t, filepath.Join(dir, "nginx.conf"), o.stream(t, dir)+strings.Join([]string{
		"daemon off;", "worker_processes 1;", "pid " + dir + "/pid;", "error_log stderr info;",
		"events { }",
		"http {",
		"client_body_temp_path " + dir + "/body;", "proxy_temp_path " + dir + "/proxy;", "fastcgi_temp_path " + dir + "/fastcgi;",
		"uwsgi_temp_path " + dir + "/uwsgi;", "scgi_temp_path " + dir + "/scgi;",
		"include " + site + ";",
		"}",
	}, "\n")+"\n")
	if os.Geteuid() == 0 {
		conf = write(t, conf, "user root;\n"+read(t, conf)) // because the files belong to this user
	}
	p := start(t, "nginx", o.Host.Command(context.Background(), "nginx", "-p", dir, "-e", "stderr", "-c", conf))
	if o.HTTPS == "" {
		o.HTTPS = "127.0.0.1:443"
	}
	if o.Relay != "" {
		p.await(listening(o.Host, "127.0.0.1:8443"))
	}
	p.await(listening(o.Host, o.HTTPS))
	return p
}

// edit makes the replacements. It fails if the site lacks a text to replace.
func (o NginxOptions) edit(t testing.TB, site, dir string) string {
	t.Helper()
	const live = "/etc/letsencrypt/live/turn.example.org/"
	pairs := [][2]string{
		{live + "fullchain.pem", o.Files.Cert}, {live + "privkey.pem", o.Files.Key}, {"turn.example.org", o.Name},
		{"/var/log/nginx/icebox.log", filepath.Join(dir, "access.log")},
	}
	if o.HTTP != "" {
		pairs = append(pairs, [2]string{"\tlisten [::]:80;\n", ""}, [2]string{"listen 80;", "listen " + o.HTTP + ";"})
	}
	if o.HTTPS != "" {
		pairs = append(pairs, [2]string{"\tlisten [::]:443 ssl http2;\n", ""}, [2]string{"listen 443 ", "listen " + o.HTTPS + " "})
	}
	if o.NoWebSocket {
		pairs = append(pairs, [2]string{"\t\tproxy_set_header Upgrade           $http_upgrade;\n\t\tproxy_set_header Connection        $icebox_connection;\n", ""})
	}
	if o.Relay != "" {
		pairs = append(pairs, [2]string{"\tlisten 443 ssl http2;\n\tlisten [::]:443 ssl http2;\n", ""})
		for _, line := range []string{"listen 127.0.0.1:8443 ssl", "set_real_ip_from", "real_ip_header"} {
			pairs = append(pairs, [2]string{"#" + line, line})
		}
	}
	if o.Buffered {
		pairs = append(pairs, [2]string{"\t\tproxy_buffering    off;\n", ""})
	}
	if o.Backend != "" {
		if _, _, err := net.SplitHostPort(o.Backend); err != nil {
			t.Fatal(err)
		}
		pairs = append(pairs, [2]string{"server 127.0.0.1:8080;", "server " + o.Backend + ";"})
	}
	for _, p := range pairs {
		site = replace(t, site, p[0], p[1])
	}
	return site
}

func replace(t testing.TB, text, old, by string) string {
	t.Helper()
	if !strings.Contains(text, old) {
		t.Fatalf("the shipped Nginx configuration has no %q to replace", old)
	}
	return strings.ReplaceAll(text, old, by)
}

// stream returns the part of the configuration outside http: Debian's stream module and the shipped
// file.
func (o NginxOptions) stream(t testing.TB, dir string) string {
	t.Helper()
	if o.Relay == "" {
		return ""
	}
	shipped, err := os.ReadFile(filepath.Join(Root(), "deploy", "nginx", "icebox-stream.conf"))
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, filepath.Join(dir, "stream"), replace(t, string(shipped), "relay.example.org", o.Relay))
	return "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\ninclude " + file + ";\n"
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
