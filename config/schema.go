package config

import (
	"encoding"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
)

const envPrefix = "ICEBOX_"

// EnvFile is the environment variable that names the configuration file. The
// command reads it; Load ignores it.
const EnvFile = envPrefix + "CONFIG"

// kubernetes matches the variables that a Kubernetes cluster sets in every
// container when a service is called icebox.
var kubernetes = regexp.MustCompile(`^ICEBOX_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

var textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()

// field is one key of a record.
type field struct {
	name      string
	index     int
	omitEmpty bool
}

// fields returns the keys of record type t in their order, or nil for any other
// type.
func fields(t reflect.Type) []field {
	if t.Kind() != reflect.Struct {
		return nil
	}
	var fs []field
	for i := range t.NumField() {
		name, option, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if name != "" && name != "-" {
			fs = append(fs, field{name, i, option == "omitempty"})
		}
	}
	return fs
}

func isRecord(t reflect.Type) bool { return fields(t) != nil }

// isSetting reports whether a layer replaces values of type t as a whole.
func isSetting(t reflect.Type) bool {
	return !isRecord(t) || reflect.PointerTo(t).Implements(textUnmarshaler)
}

// setting is a key that a layer replaces as a whole.
type setting struct {
	path   string
	typ    reflect.Type
	index  []int // of the field in Config
	reload bool  // a reload can change it
}

func (s setting) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.path, ".", "_"))
}

// flagName returns the command line flag that sets the key called path.
func flagName(path string) string { return strings.NewReplacer(".", "-", "_", "-").Replace(path) }

// settings returns all settings, in the order of the Config types.
var settings = sync.OnceValue(func() []setting {
	return appendSettings(nil, reflect.TypeFor[Config](), "", nil)
})

func appendSettings(all []setting, t reflect.Type, path string, index []int) []setting {
	for _, f := range fields(t) {
		sf := t.Field(f.index)
		at := append(slices.Clone(index), f.index)
		if isSetting(sf.Type) {
			all = append(all, setting{join(path, f.name), sf.Type, at, sf.Tag.Get("reload") == "yes"})
		} else {
			all = appendSettings(all, sf.Type, join(path, f.name), at)
		}
	}
	return all
}

// keyPaths returns the paths of all keys. Keys inside a list have no index.
var keyPaths = sync.OnceValue(func() []string {
	return appendKeys(nil, reflect.TypeFor[Config](), "")
})

func appendKeys(all []string, t reflect.Type, path string) []string {
	if t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	for _, f := range fields(t) {
		at := join(path, f.name)
		all = appendKeys(append(all, at), t.Field(f.index).Type, at)
	}
	return all
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// suggest returns the known name that is most similar to a misspelt one, or "" if none is similar.
func suggest(name string, known []string) string {
	best, least := "", max(1, len(name)/3)+1
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// suggestKey returns the key that a misspelt or misplaced name may stand for,
// or "".
func suggestKey(name string, record reflect.Type) string {
	var siblings []string
	for _, f := range fields(record) {
		siblings = append(siblings, f.name)
	}
	if near := suggest(name, siblings); near != "" {
		return near
	}
	var elsewhere []string
	for _, path := range keyPaths() {
		if strings.HasSuffix(path, "."+name) {
			elsewhere = append(elsewhere, path)
		}
	}
	if len(elsewhere) == 1 {
		return elsewhere[0]
	}
	return ""
}

// didYouMean returns the tail of a message about an unknown name.
func didYouMean(suggestion string) string {
	if suggestion == "" {
		return ""
	}
	return " (did you mean " + suggestion + "?)"
}

// distance returns the number of single-byte edits between a and b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
