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

// Options are what an import needs besides the file.
type Options struct {
	Name     string                       // of the file; relative names in it start there
	Domain   string                       // of this host: coturn's realm when the file has none
	ReadFile func(string) ([]byte, error) // nil: the host's
}

// A Note is about one line of the file, or about all of it where Line is 0. It
// holds no secret.
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

// Result is what became of a file.
type Result struct {
	YAML       []byte // the configuration, with secrets in the clear
	Translated int    // lines that have a counterpart
	Lost       []Note // lines without one, and why
	BuiltIn    []Note // lines that ask for what icebox does anyway
	Warnings   []Note // what needs a look
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
	t := &translation{Options: o, file: lines, refused: make(map[int]bool)}
	t.certificate()
	t.listeners()
	t.relay()
	t.realm()
	t.users()
	t.secrets()
	t.peers()
	t.limits()
	t.logging()
	t.loopback()
	t.sort()
	if t.result.YAML, err = t.document(); err != nil {
		return nil, fmt.Errorf("write the configuration: %w", err)
	}
	return &t.result, nil
}

// translation is an import on its way.
type translation struct {
	Options
	file
	doc     document
	refused map[int]bool // lines that coturn doesn't understand either, or that were told
	tls     bool         // there is a certificate
	result  Result

	listening []listener
}

func (t *translation) warn(l line, format string, args ...any) {
	t.result.Warnings = append(t.result.Warnings, Note{l.number, l.option, fmt.Sprintf(format, args...)})
}

// refuse says why a line that has a counterpart in general has none.
func (t *translation) refuse(l line, format string, args ...any) {
	t.refused[l.number] = true
	t.result.Lost = append(t.result.Lost, Note{l.number, l.option, fmt.Sprintf(format, args...)})
}

// sort puts every line under what becomes of it.
func (t *translation) sort() {
	for _, l := range t.file {
		f, known := fates[l.option]
		note := Note{l.number, l.option, f.text}
		switch {
		case t.refused[l.number]:
		case !known:
			note.Text = "coturn has no such option"
			t.result.Lost = append(t.result.Lost, note)
		case isSwitch[l.option] && l.off():
			// As if it were not there.
		case f.how == translated:
			t.result.Translated++
		case f.how == builtIn:
			t.result.BuiltIn = append(t.result.BuiltIn, note)
		default:
			t.result.Lost = append(t.result.Lost, note)
		}
	}
	slices.SortStableFunc(t.result.Lost, func(a, b Note) int { return a.Line - b.Line })
}

// path is a file name of the file as seen from anywhere.
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

// number is the value of l, which has to lie between low and high.
func (t *translation) number(l line, low, high int64) (int64, bool) {
	n, err := strconv.ParseInt(l.value, 10, 64)
	if err != nil || n < low || n > high {
		t.refuse(l, "%q is no number from %d to %d", l.value, low, high)
		return 0, false
	}
	return n, true
}

// certificate takes over a certificate that works.
func (t *translation) certificate() {
	cert, hasCert := t.last("cert")
	key, hasKey := t.last("pkey")
	if !hasCert && !hasKey {
		return
	}
	no := func(why string) {
		for _, l := range append(t.all("cert"), t.all("pkey")...) {
			t.refuse(l, "%s, so there is no TLS and no DTLS: set tls later", why)
		}
	}
	switch {
	case !hasCert || !hasKey:
		no("a certificate needs both cert and pkey")
	case t.has("pkey-pwd"):
		no("the key has a password")
	default:
		switch err := t.readable(cert.value, key.value); {
		case errors.Is(err, fs.ErrPermission):
			t.warn(key, "%v: run the import as root, and check afterwards", err)
		case err != nil:
			no(err.Error())
			return
		}
		t.tls = true
		t.doc.set("tls", record{{"certificate", t.path(cert.value)}, {"key", t.path(key.value)}},
			"The user icebox has to be able to read both; the package's certbot hook sees to it.")
	}
}

func (t *translation) readable(cert, key string) error {
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
