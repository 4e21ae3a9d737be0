package config

import "reflect"

// Change is a setting in which two configurations differ. Where and Line are the place at which the new configuration
// sets it. Where is "" if the new value is a default.
type Change struct {
	Key        string
	Where      string
	Line       int
	Reloadable bool // a reload can change the setting; otherwise it needs a restart
}

// Error wraps err with the key of the changed setting and where it is written.
func (c Change) Error(err error) *Error { return &Error{c.Where, c.Line, c.Key, err} }

// Changes returns the settings in which next differs from running, in the order
// of the Config types. It compares the content of secret files too.
func Changes(running, next *Config) []Change {
	var all []Change
	from, to := reflect.ValueOf(*running), reflect.ValueOf(*next)
	for _, s := range settings() {
		before, after := from.FieldByIndex(s.index), to.FieldByIndex(s.index)
		if s.typ.Kind() == reflect.Slice && before.Len() == 0 && after.Len() == 0 {
			continue // a nil list counts as equal to an empty one
		}
		if !reflect.DeepEqual(before.Interface(), after.Interface()) {
			p := next.positions[s.path]
			all = append(all, Change{s.path, p.where, p.line, s.reload})
		}
	}
	return all
}
