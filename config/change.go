package config

import "reflect"

// Change is a setting in which one configuration differs from another, and
// where its value there was written; Where is "" for a default.
type Change struct {
	Key   string
	Where string
	Line  int
}

// Error is err as one about the changed setting.
func (c Change) Error(err error) *Error { return &Error{c.Where, c.Line, c.Key, err} }

// Changes are the settings of next that differ from those of running, what was
// read from secret files included, in the order of the Config types.
func Changes(running, next *Config) []Change {
	var all []Change
	from, to := reflect.ValueOf(*running), reflect.ValueOf(*next)
	for _, s := range settings() {
		before, after := from.FieldByIndex(s.index), to.FieldByIndex(s.index)
		if s.typ.Kind() == reflect.Slice && before.Len() == 0 && after.Len() == 0 {
			continue // nil or not
		}
		if !reflect.DeepEqual(before.Interface(), after.Interface()) {
			p := next.positions[s.path]
			all = append(all, Change{s.path, p.where, p.line})
		}
	}
	return all
}

// Settings are the keys of everything that Changes can name.
func Settings() []string {
	var keys []string
	for _, s := range settings() {
		keys = append(keys, s.path)
	}
	return keys
}
