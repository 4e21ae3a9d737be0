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

// nginx reads the sites that lead to this daemon: a WebSocket needs headers that
// proxies don't pass on by themselves.
func (e *examination) nginx() {
	sites := append(e.glob("/etc/nginx/sites-enabled/*"), e.glob("/etc/nginx/conf.d/*.conf")...)
	ours := make(map[string]bool)
	for _, l := range e.Config.HTTP.Listen {
		for _, host := range []string{"127.0.0.1", "localhost", "[::1]", l.Address.Addr.String()} {
			ours[fmt.Sprintf("%s:%d", host, l.Address.Port)] = true
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
			if ours[m[1]] || ours[upstreams[m[1]]] {
				found = true
				e.nginxSite(strings.TrimPrefix(site, e.Root), text)
				break
			}
		}
	}
	if len(sites) > 0 && !found {
		e.say("nginx", Unknown, "no Nginx site leads to icebox, so pages and signalling are where http.listen says", "")
	}
}

func (e *examination) nginxSite(name, text string) {
	var lacks []string
	for directive, pattern := range map[string]string{
		"proxy_http_version 1.1;":                        `proxy_http_version\s+1\.1\s*;`,
		"proxy_set_header Upgrade $http_upgrade;":        `(?i)proxy_set_header\s+Upgrade\s+\S*\$http_upgrade`,
		`proxy_set_header Connection "upgrade";`:         `(?i)proxy_set_header\s+Connection\s+("?upgrade"?|\$)`,
		"proxy_set_header Host $http_host;":              `(?i)proxy_set_header\s+Host\s+\$(http_)?host`,
		"proxy_set_header X-Forwarded-For $remote_addr;": `(?i)proxy_set_header\s+X-Forwarded-For\s`,
	} {
		if !regexp.MustCompile(pattern).MatchString(text) {
			lacks = append(lacks, directive)
		}
	}
	if len(lacks) == 0 {
		e.say("nginx", OK, "the Nginx site "+name+" passes WebSockets on", "")
		return
	}
	e.say("nginx", Problem, fmt.Sprintf("the Nginx site %s does not pass WebSockets on: it lacks %s", name, strings.Join(slices.Sorted(slices.Values(lacks)), " ")),
		"add it beside proxy_pass, or take deploy/nginx/icebox.conf; then nginx -t && systemctl reload nginx")
}
