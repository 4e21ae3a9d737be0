package coturn

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// line is one setting of the file.
type line struct {
	number int
	option string
	value  string
}

// parse reads a turnserver.conf.
func parse(r io.Reader) ([]line, error) {
	var lines []line
	in := bufio.NewScanner(r)
	for number := 1; in.Scan(); number++ {
		text := strings.TrimSpace(in.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		option, value := text, ""
		if end := strings.IndexAny(text, " =\t"); end >= 0 {
			option, value = text[:end], strings.TrimLeft(text[end:], " =\t")
		}
		if quoted, ok := strings.CutPrefix(value, `"`); ok {
			value = strings.TrimSuffix(quoted, `"`)
		}
		lines = append(lines, line{number, option, value})
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("read the file: %w", err)
	}
	return lines, nil
}

// off reports whether the line turns a switch off.
func (l line) off() bool {
	return strings.EqualFold(l.value, "off") || l.value != "" && strings.ContainsRune("0nNfF", rune(l.value[0]))
}

// file has the settings of a file in order.
type file []line

// all returns the lines that set option.
func (f file) all(option string) []line {
	var found []line
	for _, l := range f {
		if l.option == option {
			found = append(found, l)
		}
	}
	return found
}

// last returns the last line with an option, which is the one that coturn uses for an option with one value.
func (f file) last(option string) (line, bool) {
	all := f.all(option)
	if len(all) == 0 {
		return line{}, false
	}
	return all[len(all)-1], true
}

// on reports whether the switch called option is on.
func (f file) on(option string) bool {
	l, ok := f.last(option)
	return ok && !l.off()
}

// has reports whether option has a value.
func (f file) has(option string) bool {
	l, ok := f.last(option)
	return ok && l.value != ""
}
