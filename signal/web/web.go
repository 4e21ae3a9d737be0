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

// contentTypes has the type of every kind of file in static. The operating system's mime.types are not used: they could give
// a script a type that, with nosniff, makes a browser refuse it.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".json": "application/json",
	".md":   "text/markdown; charset=utf-8",
	".ts":   "text/plain; charset=utf-8",
}

// sdkPath is the path of the browser SDK, which pages of other origins may import.
const sdkPath = "/sdk/"

// file is one embedded file with its response headers.
type file struct {
	body        []byte
	contentType string
	etag        string
}

// pages is the handler. Its files are keyed by the URL path at which they are served.
type pages struct {
	files    map[string]file
	notFound file
	count    func(outcome)
}

// Handler returns a handler that serves the pages and the SDK, and accepts only GET and HEAD. It is safe for concurrent use.
// It panics if a file can't be served, which only a broken build can cause.
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

// load reads all files below root. The index.html of a directory is served only at the path of the directory, with a slash at
// its end.
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
		http.Error(w, "this path accepts only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	f, found := p.files[r.URL.Path]
	if !found || r.URL.Path == "/404.html" {
		p.serveMissing(w, r)
		return
	}
	p.count(served)
	h := w.Header()
	if strings.HasPrefix(r.URL.Path, sdkPath) {
		setPublicHeaders(h)
	}
	h.Set("Content-Type", f.contentType)
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", f.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.body))
}

// serveMissing responds to a path at which there is no file. If only the slash at the end of a page's path is missing, it
// redirects to the page; otherwise it sends the 404 page.
func (p *pages) serveMissing(w http.ResponseWriter, r *http.Request) {
	if _, page := p.files[r.URL.Path+"/"]; page {
		p.count(redirected)
		// The target is relative to the last path segment, so it works behind a proxy that adds a prefix.
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
		_, _ = w.Write(p.notFound.body) // if the client is gone, there is nobody to report an error to
	}
}
