package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// maxIdioms is the most idioms that a wing of the repository may have in 1,000 lines of prose. For comparison: Go's net/http has 1.
const maxIdioms = 5

// idioms are turns of phrase that a reader has to decode. Each pattern matches lower-case text.
// A few matches are good English in their place, which is why the limit is not zero.
var idioms = map[string]*regexp.Regexp{
	"bare who":        regexp.MustCompile(`\b(for|of|to|by|from|than|with|at|only) who\b|(^|[.:;] )who [a-z]+ [^?.]*([.]|$)`),
	"tells whether":   regexp.MustCompile(`\b(tells?|says?|telling|saying) whether\b|\btells? that\b`),
	"so many":         regexp.MustCompile(`\bso (many|much)\b`),
	"what as a noun":  regexp.MustCompile(`(^|[^a-z])what (is|are|comes?|came|waits?|has|had|goes|went|stands|remains|belongs)\b[^?.]*([.]|$)`),
	"is no for isn't": regexp.MustCompile(`\b(is|are|was|were) no [a-z]`),
	"archaic adverb":  regexp.MustCompile(`\b(likewise|anew|on end)\b`),
}

// goodEnglish has the uses of "is no" that are not an idiom.
var goodEnglish = regexp.MustCompile(`\bthere (is|are|was|were) no\b|\b(is|are|was|were) no (longer|more|less|fewer|earlier|later)\b`)

// findIdioms returns the places in text that each idiom matches, by the name of the idiom.
func findIdioms(text string) map[string][]string {
	text = goodEnglish.ReplaceAllString(strings.ToLower(text), "")
	found := map[string][]string{}
	for name, idiom := range idioms {
		for _, at := range idiom.FindAllStringIndex(text, -1) {
			found[name] = append(found[name], text[max(0, at[0]-40):min(len(text), at[1]+40)])
		}
	}
	return found
}

// TestPlainLanguage counts the idioms in comments, string literals, test names, Markdown, JavaScript, HTML, YAML and shell.
// It is a floor: text that passes it can still be hard to read.
func TestPlainLanguage(t *testing.T) {
	type count struct{ lines, found int }
	wings := map[string]*count{}
	var report strings.Builder
	walkSource(t, func(path, text string) {
		wing, _, nested := strings.Cut(path, "/")
		if !nested {
			wing = "the top level"
		}
		if wings[wing] == nil {
			wings[wing] = &count{}
		}
		for _, passage := range prose(t, path, text) {
			wings[wing].lines += len(passage)
			// An idiom may be broken over two lines.
			for name, places := range findIdioms(strings.Join(passage, " ")) {
				wings[wing].found += len(places)
				for _, place := range places {
					report.WriteString(path + ": " + name + ": ..." + place + "...\n")
				}
			}
		}
	})
	for wing, n := range wings {
		t.Logf("%s: %d idioms in %d lines of prose", wing, n.found, n.lines)
		if n.found*1000 > n.lines*maxIdioms {
			t.Errorf("%s: more than %d idioms in 1,000 lines of prose; a list of all is in the log with -v", wing, maxIdioms)
		}
	}
	if testing.Verbose() {
		t.Log("\n" + report.String())
	}
}

// TestIdiomsAreFound shows each pattern a sentence that it must find and one that it must not.
func TestIdiomsAreFound(t *testing.T) {
	for name, sentences := range map[string]struct{ bad, good string }{
		"bare who":        {"a queue for who reads slowly", "a queue for a client who reads slowly"},
		"tells whether":   {"Open tells whether the port is free.", "Open reports whether the port is free."},
		"so many":         {"a client has so many messages a second", "a client has 20 messages a second"},
		"what as a noun":  {"the queue drops what comes late", "the queue drops late packets"},
		"is no for isn't": {"an address that is no relay address", "an address that is no longer a relay address"},
		"archaic adverb":  {"the timer starts anew", "the timer starts again"},
	} {
		if found := findIdioms(sentences.bad)[name]; len(found) != 1 {
			t.Errorf("%s: finds %q in %q", name, found, sentences.bad)
		}
		if found := findIdioms(sentences.good); len(found) != 0 {
			t.Errorf("finds %q in %q", found, sentences.good)
		}
	}
}

// walkSource calls visit for each file below the top of the repository, with a path relative to it.
func walkSource(t *testing.T, visit func(path, text string)) {
	t.Helper()
	const top = "../.."
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch d.Name() {
			case ".git", "node_modules", "bin", "testdata":
				return filepath.SkipDir
			}
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(top, path)
		if err != nil {
			return err
		}
		visit(filepath.ToSlash(relative), string(text))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// prose returns the passages of a file that are written for people, each as its lines.
func prose(t *testing.T, path, text string) [][]string {
	t.Helper()
	switch filepath.Ext(path) {
	case ".go":
		if strings.HasSuffix(path, "plainlanguage_test.go") {
			return nil // It holds each idiom on purpose.
		}
		return goProse(t, path, text)
	case ".md":
		return passages(strings.Split(fences.ReplaceAllString(text, "\n\n"), "\n\n"), twoWords)
	case ".html":
		return passages(tags.Split(text, -1), twoWords)
	case ".js", ".mjs", ".cjs", ".ts", ".css":
		return append(passages(scriptComments.FindAllString(text, -1), twoWords), passages(scriptStrings.FindAllString(text, -1), threeWords)...)
	case ".sh", ".yaml", ".yml", ".conf", ".service", "":
		return append(passages(shellComments.FindAllString(text, -1), twoWords), passages(shellStrings.FindAllString(text, -1), threeWords)...)
	}
	return nil
}

var (
	fences         = regexp.MustCompile("(?s)```.*?```")
	tags           = regexp.MustCompile(`(?s)<(script|style).*?</(script|style)>|<[^>]*>`)
	scriptComments = regexp.MustCompile(`(?s:/\*.*?\*/)|(?m:^\s*//.*\n)+|(?m://.*$)`)
	scriptStrings  = regexp.MustCompile("'[^'\n]*'|\"[^\"\n]*\"|`[^`]*`")
	shellComments  = regexp.MustCompile(`(?m:^\s*#.*\n)+|(?m:\s#.*$)`)
	shellStrings   = regexp.MustCompile(`"[^"\n]*"|'[^'\n]*'`)
	twoWords       = regexp.MustCompile(`[A-Za-z]+[ ,.;:]+[A-Za-z]+`)
	threeWords     = regexp.MustCompile(`[A-Za-z]+ [a-z]+ [a-z]+`)
)

// passages returns the lines of each text that match, without the marks of comments and quotes around them.
func passages(texts []string, match *regexp.Regexp) [][]string {
	var all [][]string
	for _, text := range texts {
		var lines []string
		for line := range strings.Lines(text) {
			if line = strings.Trim(line, " \t\r\n/*#\"'`"); match.MatchString(line) {
				lines = append(lines, line)
			}
		}
		if len(lines) > 0 {
			all = append(all, lines)
		}
	}
	return all
}

// goProse returns the comments, string literals and test names of a Go file.
func goProse(t *testing.T, path, text string) [][]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var comments, literals, tests []string
	for _, group := range file.Comments {
		comments = append(comments, group.Text())
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				literal, _ := strconv.Unquote(n.Value)
				literals = append(literals, literal)
			}
		case *ast.FuncDecl:
			if strings.HasSuffix(path, "_test.go") && strings.HasPrefix(n.Name.Name, "Test") {
				tests = append(tests, words(strings.TrimPrefix(n.Name.Name, "Test")))
			}
		}
		return true
	})
	all := append(passages(comments, twoWords), passages(literals, threeWords)...)
	return append(all, passages(tests, twoWords)...)
}

// words returns a name in camel case as words with spaces between them.
func words(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i > 0 && unicode.IsUpper(r) {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}
