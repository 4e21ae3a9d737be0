package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Error is one mistake in a configuration.
type Error struct {
	Where string // file name, environment variable or --flag; "" for a default
	Line  int    // from 1; 0 if the source has no lines
	Key   string // dotted path such as turn.listen[0].address; "" for the whole file
	Err   error
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.Where != "" {
		b.WriteString(e.Where)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d", e.Line)
		}
		b.WriteString(": ")
	}
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	return b.String() + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// Errors holds all mistakes in a configuration, in the order of its lines.
type Errors []*Error

func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Sort orders es by source, line and key.
func (es Errors) Sort() {
	slices.SortStableFunc(es, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Where, b.Where), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Key, b.Key))
	})
}

// Unwrap lets errors.Is find each error.
func (es Errors) Unwrap() []error {
	all := make([]error, len(es))
	for i, e := range es {
		all[i] = e
	}
	return all
}

// position is the place where a value is written.
type position struct {
	where string
	line  int
}

// report collects errors, and the position of every value that has been decoded.
type report struct {
	errs Errors
	at   map[string]position
}

func newReport() *report { return &report{at: make(map[string]position)} }

// fail reports an error at the value of the key called path.
func (r *report) fail(path, format string, args ...any) {
	r.failAt(r.position(path), path, format, args...)
}

func (r *report) failAt(p position, path, format string, args ...any) {
	r.errs = append(r.errs, &Error{Where: p.where, Line: p.line, Key: path, Err: fmt.Errorf(format, args...)})
}

// position returns the position of the value at path, or else of the nearest record around it.
func (r *report) position(path string) position {
	for path != "" {
		if p, ok := r.at[path]; ok {
			return p
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return position{}
}

// err returns all reported errors in the order of lines and keys, or nil.
func (r *report) err() error {
	if len(r.errs) == 0 {
		return nil
	}
	r.errs.Sort()
	return r.errs
}
