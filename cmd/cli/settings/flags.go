package settings

import (
	encodingcsv "encoding/csv"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/millrace/millrace/api"
)

// Flags adds settings to the flags of a command. Each writes to the variable
// that it is given, which holds the default.
type Flags struct{ *pflag.FlagSet }

// value is the value of a setting: text that parse must accept.
type value struct {
	kind  string
	many  bool   // it takes several texts, one after the other
	reset func() // forgets those; nil where there is only one
	show  func() string
	parse func(string) error
}

func (v *value) String() string     { return v.show() }
func (v *value) Type() string       { return v.kind }
func (v *value) Set(s string) error { return v.parse(s) }

// add adds a setting whose text becomes a T. otherwise says what its default is,
// where it is found later.
func add[T any](f Flags, to *T, name, kind, otherwise, usage string, parse func(string) (T, error), show func(T) string) *pflag.Flag {
	v := &value{kind: kind, show: func() string { return show(*to) }}
	v.parse = func(s string) error {
		parsed, err := parse(s)
		if err == nil {
			*to = parsed
		}
		return err
	}
	if otherwise != "" {
		usage += " (" + otherwise + ")"
	}
	flag := f.VarPF(v, name, "", usage)
	Mark(flag, otherwise)
	return flag
}

// Text adds a setting that is text of a kind.
func (f Flags) Text(to *string, name, kind, otherwise, usage string) {
	add(f, to, name, kind, otherwise, usage, func(s string) (string, error) { return s, nil },
		func(s string) string { return s })
}

// Choice adds a setting that is one of a few words.
func (f Flags) Choice(to *string, name, otherwise, usage string, words ...string) {
	add(f, to, name, "name", otherwise, usage+": "+strings.Join(words, ", "), func(s string) (string, error) {
		if !slices.Contains(words, s) {
			return "", fmt.Errorf("%q is not one of %s", s, strings.Join(words, ", "))
		}
		return s, nil
	}, func(s string) string { return s })
}

// Duration adds a setting that is a time, from least on.
func (f Flags) Duration(to *time.Duration, name, otherwise string, least time.Duration, usage string) {
	add(f, to, name, "time", otherwise, usage, Time(least), showTime(otherwise))
}

// Time reads times from least on.
func Time(least time.Duration) func(string) (time.Duration, error) {
	return func(s string) (time.Duration, error) {
		d, err := api.ParseDuration(s)
		if err == nil && d < least {
			err = fmt.Errorf("%s is too short: at least %s", s, api.FormatDuration(least))
		}
		return d, err
	}
}

// showTime writes a time as the job file does. Nothing is shown for a default
// that is found later.
func showTime(otherwise string) func(time.Duration) string {
	return func(d time.Duration) string {
		if d == 0 && otherwise != "" {
			return ""
		}
		return api.FormatDuration(d)
	}
}

// Bytes adds a setting that is a size, from least on.
func (f Flags) Bytes(to *int64, name, otherwise string, least int64, usage string) {
	add(f, to, name, "size", otherwise, usage, func(s string) (int64, error) {
		n, err := api.ParseBytes(s)
		if err == nil && n < least {
			err = fmt.Errorf("%s is too little: at least %s", s, showBytes(least))
		}
		return n, err
	}, func(n int64) string {
		if n == 0 && otherwise != "" {
			return ""
		}
		return showBytes(n)
	})
}

// showBytes writes a size in the largest binary unit that fits it exactly.
func showBytes(n int64) string {
	units := []string{"", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for n != 0 && n%1024 == 0 && i < len(units)-1 {
		n, i = n/1024, i+1
	}
	return strconv.FormatInt(n, 10) + units[i]
}

// Count adds a setting that is a whole number, from least on.
func (f Flags) Count(to *int, name, otherwise string, least int, usage string) {
	add(f, to, name, "N", otherwise, usage, func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n < least {
			return 0, fmt.Errorf("%q is not a whole number from %d on", s, least)
		}
		return n, nil
	}, func(n int) string {
		if n == 0 && otherwise != "" {
			return ""
		}
		return strconv.Itoa(n)
	})
}

// Switch adds a setting that is on or off; as a flag it needs no value.
func (f Flags) Switch(to *bool, name, usage string) {
	flag := add(f, to, name, "bool", "", usage, func(s string) (bool, error) {
		b, err := strconv.ParseBool(s)
		if err != nil {
			return false, fmt.Errorf("%q is neither true nor false", s)
		}
		return b, nil
	}, strconv.FormatBool)
	flag.NoOptDefVal = "true"
}

// List adds a setting of several texts. check may refuse one; nil takes all.
func (f Flags) List(to *[]string, name, kind, otherwise, usage string, check func(string) error) {
	given := false
	flag := add(f, to, name, kind, otherwise, usage, func(s string) ([]string, error) {
		texts, err := split(s)
		if err != nil {
			return nil, err
		}
		for _, text := range texts {
			if err := checked(text, check); err != nil {
				return nil, err
			}
		}
		before := *to
		if !given {
			before, given = nil, true // a default, which is replaced
		}
		return append(before, texts...), nil
	}, joined)
	v := flag.Value.(*value)
	v.many, v.reset = true, func() { given = false }
}

func checked(text string, check func(string) error) error {
	if check == nil {
		return nil
	}
	return check(text)
}

// Pairs adds a setting of texts by name, NAME=VALUE each. check may refuse one.
func (f Flags) Pairs(to *map[string]string, name, kind, usage string, check func(name, value string) error) {
	flag := add(f, to, name, kind, "", usage, func(s string) (map[string]string, error) {
		texts, err := split(s)
		if err != nil {
			return nil, err
		}
		all := maps.Clone(*to)
		if all == nil {
			all = map[string]string{}
		}
		for _, text := range texts {
			key, v, ok := strings.Cut(text, "=")
			if !ok || key == "" {
				return nil, fmt.Errorf("%q is not %s", text, kind)
			}
			if _, twice := all[key]; twice {
				return nil, fmt.Errorf("%s is given twice", key)
			}
			if check != nil {
				if err := check(key, v); err != nil {
					return nil, err
				}
			}
			all[key] = v
		}
		return all, nil
	}, func(all map[string]string) string { return joined(pairs(all)) })
	v := flag.Value.(*value)
	v.many, v.reset = true, func() { *to = nil }
}

// pairs are texts by name as NAME=VALUE, in order.
func pairs(all map[string]string) []string {
	texts := make([]string, 0, len(all))
	for _, key := range slices.Sorted(maps.Keys(all)) {
		texts = append(texts, key+"="+all[key])
	}
	return texts
}

// split takes a list apart at its commas. A value that has one is in quotes.
func split(s string) ([]string, error) {
	if s == "" {
		return nil, nil
	}
	texts, err := encodingcsv.NewReader(strings.NewReader(s)).Read()
	if err != nil {
		return nil, fmt.Errorf("%q is no list: values with commas between them, each that has one itself in double quotes", s)
	}
	return texts, nil
}

// joined is a list as split takes it apart.
func joined(texts []string) string {
	if len(texts) == 0 {
		return ""
	}
	var b strings.Builder
	w := encodingcsv.NewWriter(&b)
	if err := w.Write(texts); err != nil {
		return strings.Join(texts, ",")
	}
	w.Flush()
	return strings.TrimSuffix(b.String(), "\n")
}
