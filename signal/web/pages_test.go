package web

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"path"
	"regexp"
	"strings"
	"testing"
)

// embedded returns all embedded files by their URL path.
func embedded(t *testing.T) map[string]file {
	t.Helper()
	return Handler(Options{}).(*pages).files
}

// elements calls visit for each element of an HTML page. The pages use only HTML that encoding/xml can read once it knows
// the void elements.
func elements(t *testing.T, page []byte, visit func(name string, attributes map[string]string, text string)) {
	t.Helper()
	decoder := xml.NewDecoder(bytes.NewReader(page))
	decoder.Strict = false
	decoder.AutoClose = xml.HTMLAutoClose
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("read the page: %v", err)
		}
		start, isStart := token.(xml.StartElement)
		if !isStart {
			continue
		}
		attributes := make(map[string]string)
		for _, a := range start.Attr {
			attributes[a.Name.Local] = a.Value
		}
		text := ""
		if start.Name.Local == "script" || start.Name.Local == "style" {
			if inner, ok := must(decoder.Token()).(xml.CharData); ok {
				text = string(inner)
			}
		}
		visit(start.Name.Local, attributes, text)
	}
}

func must(token xml.Token, err error) xml.Token {
	if err != nil {
		panic(err)
	}
	return token
}

func TestPagesHaveNoInlineScriptOrStyle(t *testing.T) {
	for name, f := range embedded(t) {
		if !strings.HasPrefix(f.contentType, "text/html") {
			continue
		}
		elements(t, f.body, func(element string, attributes map[string]string, text string) {
			if element == "style" || strings.TrimSpace(text) != "" {
				t.Errorf("%s: <%s> has text", name, element)
			}
			for attribute, value := range attributes {
				if attribute == "style" || strings.HasPrefix(attribute, "on") {
					t.Errorf("%s: <%s> has the attribute %s", name, element, attribute)
				}
				if strings.HasPrefix(strings.ToLower(value), "javascript:") || strings.HasPrefix(value, "data:") {
					t.Errorf("%s: <%s %s=%q>", name, element, attribute, value)
				}
			}
		})
	}
}

var imports = regexp.MustCompile(`(?:from|import|import\() ?'([^']+)'`)

// TestReferencesAreServed checks that every link of a page and every import of a module leads to an embedded file.
func TestReferencesAreServed(t *testing.T) {
	files := embedded(t)
	check := func(from, to string) {
		base := url.URL{Path: from}
		target, err := base.Parse(to)
		if err != nil || target.Host != "" || target.Scheme != "" {
			t.Errorf("%s refers to %q, which is on another host", from, to)
			return
		}
		if _, found := files[target.Path]; !found {
			t.Errorf("%s refers to %q, which is not embedded", from, to)
		}
	}
	for name, f := range files {
		switch path.Ext(name) {
		case "", ".html":
			elements(t, f.body, func(element string, attributes map[string]string, _ string) {
				for _, attribute := range []string{"href", "src", "action"} {
					if to, has := attributes[attribute]; has && !strings.HasPrefix(to, "#") {
						check(name, to)
					}
				}
			})
		case ".js":
			for _, match := range imports.FindAllSubmatch(f.body, -1) {
				check(name, string(match[1]))
			}
		}
	}
}

// TestModulesArePreloaded checks that each page preloads all modules that it imports, directly or through other modules, so
// that a slow connection fetches them in parallel. The examples are exempt, because they are there to be read.
func TestModulesArePreloaded(t *testing.T) {
	files := embedded(t)
	for name, f := range files {
		if !strings.HasPrefix(f.contentType, "text/html") || strings.HasPrefix(name, "/examples/") {
			continue
		}
		named := make(map[string]bool)
		var scripts []string
		elements(t, f.body, func(element string, attributes map[string]string, _ string) {
			if attributes["rel"] == "modulepreload" {
				named[path.Join(name, attributes["href"])] = true
			}
			if element == "script" {
				scripts = append(scripts, path.Join(name, attributes["src"]))
			}
		})
		needed := reachable(files, scripts)
		for module := range needed {
			if !named[module] {
				t.Errorf("%s does not preload %s", name, module)
			}
		}
		for module := range named {
			if !needed[module] {
				t.Errorf("%s preloads %s, which it does not need", name, module)
			}
		}
	}
}

// reachable returns every module that the scripts import, directly or not.
func reachable(files map[string]file, scripts []string) map[string]bool {
	found := make(map[string]bool)
	for todo := scripts; len(todo) > 0; {
		from := todo[0]
		todo = todo[1:]
		for _, match := range imports.FindAllSubmatch(files[from].body, -1) {
			to := path.Join(path.Dir(from), string(match[1]))
			if !found[to] {
				found[to] = true
				todo = append(todo, to)
			}
		}
	}
	return found
}

// TestScriptsMakeNoMarkup checks that no script can turn text from other users into markup or code. In browsers with trusted
// types the Content-Security-Policy forbids it too.
func TestScriptsMakeNoMarkup(t *testing.T) {
	for name, f := range embedded(t) {
		if path.Ext(name) != ".js" {
			continue
		}
		for _, banned := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "console."} {
			if bytes.Contains(f.body, []byte(banned)) {
				t.Errorf("%s uses %s", name, banned)
			}
		}
	}
}

func TestIDsAreUnique(t *testing.T) {
	for name, f := range embedded(t) {
		if !strings.HasPrefix(f.contentType, "text/html") {
			continue
		}
		seen := make(map[string]bool)
		references := make(map[string]string)
		elements(t, f.body, func(element string, attributes map[string]string, _ string) {
			if id := attributes["id"]; id != "" {
				if seen[id] {
					t.Errorf("%s: two elements have the id %q", name, id)
				}
				seen[id] = true
			}
			for _, attribute := range []string{"for", "aria-labelledby", "aria-describedby"} {
				if id := attributes[attribute]; id != "" {
					references[id] = element
				}
			}
		})
		for id, element := range references {
			if !seen[id] {
				t.Errorf("%s: <%s> refers to the id %q, but no element has it", name, element, id)
			}
		}
	}
}
