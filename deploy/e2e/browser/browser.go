// Package browser controls headless Chromium from Go tests, through driver.mjs (Node.js and
// playwright-core).
package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// Options configure one browser.
type Options struct {
	Name    string                                              // for the log
	Command func(ctx context.Context, argv ...string) *exec.Cmd // runs the driver, for example in a network namespace; nil: on this host
	CA      string                                              // PEM file of a certificate authority that the browser must trust
}

// Browser is one Chromium process with one page and its own home directory.
type Browser struct {
	t    testing.TB
	name string
	in   io.WriteCloser
	out  *bufio.Scanner
	id   int
	log  *tail
}

// request is one line to the driver. Op decides which of the other fields matter.
type request struct {
	ID       int    `json:"id"`
	Op       string `json:"op"`
	URL      string `json:"url,omitempty"`
	Body     string `json:"body,omitempty"`
	Args     any    `json:"args,omitempty"`
	Selector string `json:"selector,omitempty"`
	Text     string `json:"text"`
	Path     string `json:"path,omitempty"`
}

// Start starts a browser and closes it when the test ends.
func Start(t testing.TB, o Options) *Browser {
	t.Helper()
	home := t.TempDir()
	if o.CA != "" {
		trust(t, home, o.CA)
	}
	if o.Command == nil {
		o.Command = func(ctx context.Context, argv ...string) *exec.Cmd {
			return exec.CommandContext(ctx, argv[0], argv[1:]...)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := o.Command(ctx, "node", filepath.Join(dir(), "driver.mjs"))
	b := &Browser{t: t, name: o.Name, log: &tail{}}
	c.Env = append(os.Environ(), "HOME="+home, "E2E_PROFILE="+filepath.Join(home, "profile"))
	c.Stderr = b.log
	c.WaitDelay = 5 * time.Second
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if b.in, err = c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatalf("%s: start the driver: %v", o.Name, err)
	}
	b.out = bufio.NewScanner(out)
	b.out.Buffer(nil, 4<<20)
	t.Cleanup(func() { b.stop(c, cancel) })
	if !b.out.Scan() {
		t.Fatalf("%s: the browser did not start:\n%s", o.Name, b.log)
	}
	return b
}

// In returns the same browser for a subtest. A failure then fails the subtest and not the whole
// test.
func (b *Browser) In(t testing.TB) *Browser {
	part := *b
	part.t = t
	return &part
}

// stop ends the driver by closing its input, and kills it after 15 s.
func (b *Browser) stop(c *exec.Cmd, cancel context.CancelFunc) {
	defer cancel()
	timer := time.AfterFunc(15*time.Second, cancel)
	defer timer.Stop()
	b.in.Close()
	for b.out.Scan() { // read the rest, so that Wait does not block
	}
	if err := c.Wait(); err != nil {
		b.t.Logf("%s: the driver failed: %v", b.name, err)
	}
	if b.t.Failed() {
		b.t.Logf("%s: the browser's log ends with:\n%s", b.name, b.log)
	}
}

// trust creates a certificate store in the browser's home directory that contains one authority.
func trust(t testing.TB, home, ca string) {
	t.Helper()
	db := filepath.Join(home, ".pki", "nssdb")
	if err := os.MkdirAll(db, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"-N", "-d", "sql:" + db, "--empty-password"},
		{"-A", "-d", "sql:" + db, "-n", "test authority", "-t", "C,,", "-i", ca},
	} {
		if out, err := exec.Command("certutil", args...).CombinedOutput(); err != nil {
			t.Fatalf("certutil %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
}

func dir() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(file)
}

// do sends one request and decodes the value of its reply into v, unless v is nil.
func (b *Browser) do(r request, v any) error {
	b.id++
	r.ID = b.id
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if _, err := b.in.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("%s: send to the driver: %w", b.name, err)
	}
	var reply struct {
		ID    int             `json:"id"`
		Value json.RawMessage `json:"value"`
		Error string          `json:"error"`
	}
	if !b.out.Scan() {
		return fmt.Errorf("%s: the driver has ended: %s", b.name, b.log)
	}
	if err := json.Unmarshal(b.out.Bytes(), &reply); err != nil {
		return fmt.Errorf("%s: read the driver's reply: %w", b.name, err)
	}
	if reply.ID != r.ID {
		return fmt.Errorf("%s: the driver answered request %d, not %d", b.name, reply.ID, r.ID)
	}
	if reply.Error != "" {
		return fmt.Errorf("%s: %s: %w", b.name, r.Op, errors.New(reply.Error))
	}
	if v == nil {
		return nil
	}
	return json.Unmarshal(reply.Value, v)
}

func (b *Browser) must(r request, v any) {
	b.t.Helper()
	if err := b.do(r, v); err != nil {
		b.t.Fatal(err)
	}
}

// Goto opens a page. It fails if the browser does not trust the page's certificate.
func (b *Browser) Goto(url string) { b.t.Helper(); b.must(request{Op: "goto", URL: url}, nil) }

// TryGoto is like Goto but returns the error.
func (b *Browser) TryGoto(url string) error { return b.do(request{Op: "goto", URL: url}, nil) }

// Click waits until the element can be clicked and clicks it.
func (b *Browser) Click(selector string) {
	b.t.Helper()
	b.must(request{Op: "click", Selector: selector}, nil)
}

// Fill replaces the text of an input.
func (b *Browser) Fill(selector, text string) {
	b.t.Helper()
	b.must(request{Op: "fill", Selector: selector, Text: text}, nil)
}

// Shot writes a screenshot of the whole page to path.
func (b *Browser) Shot(path string) { b.t.Helper(); b.must(request{Op: "shot", Path: path}, nil) }

// Run runs the body of an async function in the page, with args as its argument, and decodes its
// return value into v.
func (b *Browser) Run(body string, args, v any) {
	b.t.Helper()
	b.must(request{Op: "run", Body: body, Args: args}, v)
}

// WaitFor waits until the body of an async function in the page returns a truthy value.
func (b *Browser) WaitFor(what, body string, args any, within time.Duration) {
	b.t.Helper()
	if !b.Becomes(body, args, within) {
		b.t.Fatalf("%s: %s did not happen within %s", b.name, what, within)
	}
}

// Becomes reports whether the body of an async function in the page returns a truthy value within
// the given time. If the page reloads in the meantime, Becomes continues in the new document.
func (b *Browser) Becomes(body string, args any, within time.Duration) bool {
	b.t.Helper()
	const poll = `const end = performance.now() + args.ms;
		const condition = async (args) => { %s };
		for (;;) {
			if (await condition(args.args)) return true;
			if (performance.now() > end) return false;
			await new Promise((r) => setTimeout(r, 50));
		}`
	for end := time.Now().Add(within); ; within = max(0, time.Until(end)) {
		var ok bool
		r := request{Op: "run", Body: fmt.Sprintf(poll, body), Args: map[string]any{"ms": within.Milliseconds(), "args": args}}
		switch err := b.do(r, &ok); {
		case err == nil:
			return ok
		case !strings.Contains(err.Error(), "context was destroyed") || time.Now().After(end):
			b.t.Fatal(err)
		}
	}
}

// tail keeps the last tailSize bytes that are written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailSize = 8 << 10

func (w *tail) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf = append(w.buf, p...)
	if extra := len(w.buf) - tailSize; extra > 0 {
		w.buf = append(w.buf[:0], w.buf[extra:]...)
	}
	return len(p), nil
}

func (w *tail) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.buf)
}
