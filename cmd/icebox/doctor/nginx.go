package doctor

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

var (
	nginxComment = regexp.MustCompile(`(?m)#.*$`)
	nginxPass    = regexp.MustCompile(`proxy_pass\s+https?://([^/;\s]+)`)
	nginxServer  = regexp.MustCompile(`(?s)upstream\s+(\S+)\s*\{[^}]*server\s+([^;\s]+)`)
)

// nginx checks the Nginx sites that forward to this daemon. WebSockets need headers that Nginx does not forward by default.
func (e *examination) nginx() {
	sites := append(e.glob("/etc/nginx/sites-enabled/*"), e.glob("/etc/nginx/conf.d/*.conf")...)
	listeners := make(map[string]bool)
	for _, l := range e.Config.HTTP.Listen {
		for _, host := range []string{"127.0.0.1", "localhost", "[::1]", l.Address.Addr.String()} {
			listeners[fmt.Sprintf("%s:%d", host, l.Address.Port)] = true
		}
	}
	found := false
	for _, site := range sites {
		raw, err := os.ReadFile(site)
		if err != nil {
			continue
		}
		text := nginxComment.ReplaceAllString(string(raw), "")
		upstreams := make(map[string]string)
		for _, m := range nginxServer.FindAllStringSubmatch(text, -1) {
			upstreams[m[1]] = m[2]
		}
		for _, m := range nginxPass.FindAllStringSubmatch(text, -1) {
			if listeners[m[1]] || listeners[upstreams[m[1]]] {
				found = true
				e.nginxSite(strings.TrimPrefix(site, e.Root), text)
				break
			}
		}
	}
	if len(sites) > 0 && !found {
		e.report("nginx", Unknown, "no Nginx site forwards to icebox, so clients reach pages and signalling only at the addresses of http.listen", "")
	}
}

func (e *examination) nginxSite(name, text string) {
	var missing []string
	for directive, pattern := range map[string]string{
		"proxy_http_version 1.1;":                        `proxy_http_version\s+1\.1\s*;`,
		"proxy_set_header Upgrade $http_upgrade;":        `(?i)proxy_set_header\s+Upgrade\s+\S*\$http_upgrade`,
		`proxy_set_header Connection "upgrade";`:         `(?i)proxy_set_header\s+Connection\s+("?upgrade"?|\$)`,
		"proxy_set_header Host $http_host;":              `(?i)proxy_set_header\s+Host\s+\$(http_)?host`,
		"proxy_set_header X-Forwarded-For $remote_addr;": `(?i)proxy_set_header\s+X-Forwarded-For\s`,
	} {
		if !regexp.MustCompile(pattern).MatchString(text) {
			missing = append(missing, directive)
		}
	}
	if len(missing) == 0 {
		e.report("nginx", OK, "the Nginx site "+name+" forwards WebSockets", "")
		return
	}
	e.report("nginx", Problem, fmt.Sprintf("the Nginx site %s does not forward WebSockets, because it lacks %s", name, strings.Join(slices.Sorted(slices.Values(missing)), " ")),
		"add that beside proxy_pass, or use deploy/nginx/icebox.conf; then nginx -t && systemctl reload nginx")
}
