package coturn

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// Options are the inputs of an import besides the text of the file.
type Options struct {
	Name     string                       // of the file; relative names in it are relative to its directory
	Domain   string                       // of this host; coturn's realm if the file has none
	ReadFile func(string) ([]byte, error) // nil means os.ReadFile
}

// A Note is a remark about one line of the file, or about the whole file if Line is 0. It contains no secret.
type Note struct {
	Line   int    `json:"line,omitempty"`
	Option string `json:"option,omitempty"`
	Text   string `json:"text"`
}

func (n Note) String() string {
	switch {
	case n.Line == 0:
		return n.Text
	case n.Option == "":
		return fmt.Sprintf("line %d: %s", n.Line, n.Text)
	}
	return fmt.Sprintf("line %d: %s: %s", n.Line, n.Option, n.Text)
}

// Result is the result of an import.
type Result struct {
	YAML       []byte // the configuration, including secrets
	Translated int    // lines that have a counterpart
	Lost       []Note // lines without a counterpart, with the reason
	BuiltIn    []Note // lines that ask for something that icebox does anyway
	Warnings   []Note // differences that the operator should check
}

// Import translates the turnserver.conf in r.
func Import(r io.Reader, o Options) (*Result, error) {
	lines, err := parse(r)
	if err != nil {
		return nil, err
	}
	if o.ReadFile == nil {
		o.ReadFile = os.ReadFile
	}
	t := &translation{Options: o, file: lines, handled: make(map[int]bool)}
	t.certificate()
	t.listeners()
	t.relay()
	t.realm()
	t.users()
	t.secrets()
	t.peers()
	t.limits()
	t.logging()
	t.loopbackPorts()
	t.classify()
	if t.result.YAML, err = t.document(); err != nil {
		return nil, fmt.Errorf("write the configuration: %w", err)
	}
	return &t.result, nil
}

// translation is the state of one import.
type translation struct {
	Options
	file
	doc     document
	handled map[int]bool // line numbers that already have their note, or need none
	tls     bool         // there is a certificate
	result  Result

	listening []listener
}

func (t *translation) warn(l line, format string, args ...any) {
	t.result.Warnings = append(t.result.Warnings, Note{l.number, l.option, fmt.Sprintf(format, args...)})
}

// reportLost notes why a line of a translated option has no counterpart.
func (t *translation) reportLost(l line, format string, args ...any) {
	t.handled[l.number] = true
	t.result.Lost = append(t.result.Lost, Note{l.number, l.option, fmt.Sprintf(format, args...)})
}

// classify notes the outcome of every line that has no note yet.
func (t *translation) classify() {
	for _, l := range t.file {
		f, known := outcomes[l.option]
		note := Note{l.number, l.option, f.text}
		switch {
		case t.handled[l.number]:
		case !known:
			note.Text = "coturn has no such option"
			t.result.Lost = append(t.result.Lost, note)
		case switches[l.option] && l.off():
			// The line has no effect.
		case f.kind == translated:
			t.result.Translated++
		case f.kind == builtIn:
			t.result.BuiltIn = append(t.result.BuiltIn, note)
		default:
			t.result.Lost = append(t.result.Lost, note)
		}
	}
	slices.SortStableFunc(t.result.Lost, func(a, b Note) int { return a.Line - b.Line })
}

// path returns the absolute form of a file name in the file.
func (t *translation) path(name string) string {
	if filepath.IsAbs(name) || t.Name == "" {
		return name
	}
	dir, err := filepath.Abs(filepath.Dir(t.Name))
	if err != nil {
		return name
	}
	return filepath.Join(dir, name)
}

// number returns the value of l. If it is not a number from low to high, number notes that and returns false.
func (t *translation) number(l line, low, high int64) (int64, bool) {
	n, err := strconv.ParseInt(l.value, 10, 64)
	if err != nil || n < low || n > high {
		t.reportLost(l, "%q is not a number from %d to %d", l.value, low, high)
		return 0, false
	}
	return n, true
}

// certificate translates the certificate if it can be used.
func (t *translation) certificate() {
	cert, hasCert := t.last("cert")
	key, hasKey := t.last("pkey")
	if !hasCert && !hasKey {
		return
	}
	unusable := func(why string) {
		for _, l := range append(t.all("cert"), t.all("pkey")...) {
			t.reportLost(l, "%s, so there is no TLS and DTLS: set tls later", why)
		}
	}
	switch {
	case !hasCert || !hasKey:
		unusable("a certificate needs both cert and pkey")
	case t.has("pkey-pwd"):
		unusable("the key has a password")
	default:
		switch err := t.checkPair(cert.value, key.value); {
		case errors.Is(err, fs.ErrPermission):
			t.warn(key, "%v: run the import as root, or check the files yourself", err)
		case err != nil:
			unusable(err.Error())
			return
		}
		t.tls = true
		t.doc.set("tls", record{{"certificate", t.path(cert.value)}, {"key", t.path(key.value)}},
			"The user icebox has to be able to read both files; the package's certbot hook arranges that.")
	}
}

func (t *translation) checkPair(cert, key string) error {
	certPEM, err := t.ReadFile(t.path(cert))
	if err != nil {
		return err
	}
	keyPEM, err := t.ReadFile(t.path(key))
	if err != nil {
		return err
	}
	_, err = tls.X509KeyPair(certPEM, keyPEM)
	return err
}
