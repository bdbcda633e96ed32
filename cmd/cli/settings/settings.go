// Package settings finds which settings of a command are in force. Where a
// setting may come from, in which order, how its text becomes a value, and how
// what is wrong with it is told is decided here, for all settings alike. Which
// settings there are, and what they do, is not.
//
// A setting is a flag that is marked as one. It comes from the first of these
// that says anything:
//
//  1. the flag, --keep-for 2h
//  2. the environment, MILLRACE_KEEP_FOR=2h
//  3. the config file, under the command's name: `coordinator: {keep-for: 2h}`
//  4. the config file, at its top: `keep-for: 2h`
//  5. the default
//
// A list is the flag again and again, or its values with commas between them; in
// the file it may be a list, and pairs may be fields.
package settings

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Prefix begins the names of all settings in the environment.
const Prefix = "MILLRACE_"

// The kinds of origin.
const (
	FromFlag        = "flag"
	FromEnvironment = "environment"
	FromFile        = "file"
	FromDefault     = "default"
)

// Setting is a setting as it is in force.
type Setting struct {
	// Name is the name of its flag, and of its field in the config file.
	Name string
	// Environment is the name of its variable.
	Environment string
	// Value is the value as text, of a default that is found later what it will
	// be.
	Value string
	// Origin is where the value comes from, one of the kinds above.
	Origin string
	// Where is the variable or the place in the file; empty for others.
	Where string
}

// Variable is the name of a setting in the environment.
func Variable(name string) string {
	return Prefix + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// marked is the annotation of a flag that is a setting.
const marked = "millrace_setting"

// Mark makes a flag a setting. Where its default is not the flag's own value but
// found later, otherwise says in words what it will be.
func Mark(flag *pflag.Flag, otherwise string) {
	if flag.Annotations == nil {
		flag.Annotations = map[string][]string{}
	}
	flag.Annotations[marked] = []string{otherwise}
}

// Is says whether a flag is a setting.
func Is(flag *pflag.Flag) bool { return flag.Annotations[marked] != nil }

// Default is the default of a setting as people read it.
func Default(flag *pflag.Flag) string {
	if otherwise := flag.Annotations[marked]; len(otherwise) > 0 && otherwise[0] != "" {
		return otherwise[0]
	}
	return flag.DefValue
}

// Of is the settings of a command, in the order of its flags.
func Of(cmd *cobra.Command) []*pflag.Flag {
	var all []*pflag.Flag
	gather := func(flag *pflag.Flag) {
		if Is(flag) {
			all = append(all, flag)
		}
	}
	cmd.NonInheritedFlags().VisitAll(gather)
	cmd.InheritedFlags().VisitAll(gather)
	return all
}

// Settle gives each setting of a command that was not given as a flag the value
// that environment or file have for it, and tells where each comes from. The
// error names all that is wrong at once. A nil file has nothing.
func Settle(cmd *cobra.Command, lookup func(string) (string, bool), file *File) ([]Setting, error) {
	var all []Setting
	var faults []error
	for _, flag := range Of(cmd) {
		setting, err := settle(flag, cmd.Name(), lookup, file)
		all, faults = append(all, setting), append(faults, err)
	}
	return all, errors.Join(faults...)
}

func settle(flag *pflag.Flag, section string, lookup func(string) (string, bool), file *File) (Setting, error) {
	s := Setting{Name: flag.Name, Environment: Variable(flag.Name), Origin: FromDefault, Value: Default(flag)}
	text, _ := lookup(s.Environment) // an empty one is as none
	found := file.find(section, flag.Name)
	switch {
	case flag.Changed:
		s.Origin = FromFlag
	case text != "":
		s.Origin, s.Where = FromEnvironment, s.Environment
		if err := flag.Value.Set(text); err != nil {
			return s, fmt.Errorf("%s: %w", s.Environment, err)
		}
	case found != nil:
		s.Origin, s.Where = FromFile, fmt.Sprintf("%s:%d", file.Path, found.line)
		if err := found.give(flag); err != nil {
			return s, fmt.Errorf("%s: %s: %w", s.Where, flag.Name, err)
		}
	default:
		return s, nil
	}
	s.Value = flag.Value.String()
	return s, nil
}

// Path is the config file to read: the one that was named, or else the first of
// the usual ones that exists. It is empty when there is none.
func Path(named string, lookup func(string) (string, bool)) string {
	if named != "" {
		return named
	}
	for _, path := range UsualPaths(lookup) {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// UsualPaths are where a config file is looked for, in this order.
func UsualPaths(lookup func(string) (string, bool)) []string {
	var paths []string
	if folder, ok := lookup("XDG_CONFIG_HOME"); ok && filepath.IsAbs(folder) {
		paths = append(paths, filepath.Join(folder, "millrace", "config.yaml"))
	} else if home, ok := lookup("HOME"); ok && filepath.IsAbs(home) {
		paths = append(paths, filepath.Join(home, ".config", "millrace", "config.yaml"))
	}
	return append(paths, filepath.Join("/etc", "millrace", "config.yaml"))
}
