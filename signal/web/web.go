package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

//go:embed static
var static embed.FS

// Options configures the pages. The zero value serves them without metrics.
type Options struct {
	// Registerer receives icebox_http_pages_total; nil registers nothing.
	Registerer prometheus.Registerer
}

// contentTypes names the type of every kind of file in static. It is ours, not
// the operating system's: a machine's mime.types must not turn a script into
// something that nosniff makes a browser refuse.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".json": "application/json",
	".md":   "text/markdown; charset=utf-8",
	".ts":   "text/plain; charset=utf-8",
}

// sdk is where the browser SDK is, which pages of other origins may import.
const sdk = "/sdk/"

// file is one embedded file, ready to be served.
type file struct {
	body        []byte
	contentType string
	etag        string
}

// pages is the handler: every file by the URL path it is served at.
type pages struct {
	files    map[string]file
	notFound file
	count    func(outcome)
}

// Handler serves the call page, the trickle-ICE page and their assets, to GET
// and HEAD only. It keeps no state and is safe for concurrent use. It panics
// when a file cannot be served, which only a broken build can cause.
func Handler(o Options) http.Handler {
	root, err := fs.Sub(static, "static")
	if err != nil {
		panic(fmt.Sprintf("open the embedded pages: %v", err))
	}
	files, err := load(root)
	if err != nil {
		panic(fmt.Sprintf("load the embedded pages: %v", err))
	}
	return &pages{files: files, notFound: files["/404.html"], count: newCounter(o.Registerer)}
}

// load reads every file below root. A directory's index.html is served at the
// directory's own path, with a slash at its end, and nowhere else.
func load(root fs.FS) (map[string]file, error) {
	files := make(map[string]file)
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		contentType, known := contentTypes[path.Ext(name)]
		if !known {
			return fmt.Errorf("%s: no content type for %q", name, path.Ext(name))
		}
		body, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		etag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
		files["/"+strings.TrimSuffix(name, "index.html")] = file{body, contentType, etag}
		return nil
	})
	return files, err
}

// ServeHTTP implements http.Handler.
func (p *pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	setSecurityHeaders(w.Header(), r.Host)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		p.count(badMethod)
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD work here", http.StatusMethodNotAllowed)
		return
	}
	f, found := p.files[r.URL.Path]
	if !found || r.URL.Path == "/404.html" {
		p.serveMissing(w, r)
		return
	}
	p.count(served)
	h := w.Header()
	if strings.HasPrefix(r.URL.Path, sdk) {
		setPublicHeaders(h)
	}
	h.Set("Content-Type", f.contentType)
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", f.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.body))
}

// serveMissing answers a path that is no file: a page's address without its
// last slash leads to the page, everything else to the 404 page.
func (p *pages) serveMissing(w http.ResponseWriter, r *http.Request) {
	if _, page := p.files[r.URL.Path+"/"]; page {
		p.count(redirected)
		// Relative to the last path segment, so that a proxy's prefix is kept.
		target := path.Base(r.URL.Path) + "/"
		if r.URL.RawQuery != "" {
			target += "?" + r.URL.RawQuery
		}
		w.Header().Set("Location", target)
		w.WriteHeader(http.StatusPermanentRedirect)
		return
	}
	p.count(notFound)
	w.Header().Set("Content-Type", p.notFound.contentType)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNotFound)
	if r.Method != http.MethodHead {
		_, _ = w.Write(p.notFound.body) // the client may be gone: nobody to tell
	}
}
