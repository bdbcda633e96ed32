package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
)

// jobFlags are the flags that say something of a job. Each has a function that
// says it in the job's own terms, called only for flags that were given: so they
// override a job file, and nothing else in it.
type jobFlags struct {
	cmd   *cobra.Command
	apply map[string]func(*pb.JobSpec)
}

// value is a flag's value: text that parse must accept.
type value struct {
	kind  string
	text  string
	parse func(string) error
}

func (v *value) String() string { return v.text }
func (v *value) Type() string   { return v.kind }

// Set is called by pflag.
func (v *value) Set(s string) error {
	if err := v.parse(s); err != nil {
		return err
	}
	v.text = s
	return nil
}

// flag adds a flag whose text becomes a T, and what it says of a job.
func flag[T any](f *jobFlags, name, short, kind, usage string, parse func(string) (T, error), apply func(*pb.JobSpec, T)) *pflag.Flag {
	var parsed T
	f.apply[name] = func(spec *pb.JobSpec) { apply(spec, parsed) }
	return f.cmd.Flags().VarPF(&value{kind: kind, parse: func(s string) (err error) {
		parsed, err = parse(s)
		return err
	}}, name, short, usage)
}

func (f *jobFlags) text(name, short, kind, usage string, apply func(*pb.JobSpec, string)) {
	flag(f, name, short, kind, usage, func(s string) (string, error) { return s, nil }, apply)
}

func (f *jobFlags) duration(name, usage string, apply func(*pb.JobSpec, time.Duration)) {
	flag(f, name, "", "time", usage, api.ParseDuration, apply)
}

func (f *jobFlags) bytes(name, usage string, apply func(*pb.JobSpec, int64)) {
	flag(f, name, "", "size", usage, api.ParseBytes, apply)
}

// count adds a flag whose value is a number of things, in 32 or 64 bits.
func (f *jobFlags) count(name, usage string, bits int, apply func(*pb.JobSpec, uint64)) {
	flag(f, name, "", "N", usage, func(s string) (uint64, error) {
		n, err := strconv.ParseUint(s, 10, bits)
		if err != nil {
			return 0, fmt.Errorf("%q is not a whole number from 0 on", s)
		}
		return n, nil
	}, apply)
}

// boolean adds a flag that needs no value, but may have one: --csv-header=false.
func (f *jobFlags) boolean(name, usage string, apply func(*pb.JobSpec, bool)) {
	added := flag(f, name, "", "bool", usage, func(s string) (bool, error) {
		v, err := strconv.ParseBool(s)
		if err != nil {
			return false, fmt.Errorf("%q is neither true nor false", s)
		}
		return v, nil
	}, apply)
	added.NoOptDefVal = "true"
}

// enum adds a flag whose value is one of an enum's, by its short name, but for
// some of them.
func (f *jobFlags) enum(name, short, usage string, enum protoreflect.EnumDescriptor, apply func(*pb.JobSpec, protoreflect.EnumNumber), but ...string) {
	names := slices.DeleteFunc(api.ShortNames(enum), func(name string) bool { return slices.Contains(but, name) })
	flag(f, name, short, "name", usage+": "+strings.Join(names, ", "), func(s string) (protoreflect.EnumNumber, error) {
		number, ok := api.ParseEnum(enum, s)
		if !ok || slices.Contains(but, s) {
			return 0, fmt.Errorf("%q is not one of %s", s, strings.Join(names, ", "))
		}
		return number, nil
	}, apply)
	complete(f.cmd, name, names...)
}

// pairs adds a flag that is given as NAME=VALUE, any number of times.
func (f *jobFlags) pairs(name, usage string, apply func(*pb.JobSpec, map[string]string)) {
	all := map[string]string{}
	flag(f, name, "", "NAME=VALUE", usage, func(s string) (map[string]string, error) {
		key, v, ok := strings.Cut(s, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("%q is not NAME=VALUE", s)
		}
		all[key] = v
		return all, nil
	}, apply)
}

// statuses reads "0,1".
func statuses(s string) ([]uint32, error) {
	var all []uint32
	for part := range strings.SplitSeq(s, ",") {
		n, err := strconv.ParseUint(strings.TrimSpace(part), 10, 8)
		if err != nil {
			return nil, fmt.Errorf("%q is not an exit status from 0 to 255", part)
		}
		all = append(all, uint32(n))
	}
	return all, nil
}

// oneByte reads a byte between fields, with \t and tab for what shells make hard
// to type.
func oneByte(s string) (string, error) {
	if s == `\t` || s == "tab" {
		return "\t", nil
	}
	if len(s) > 1 {
		return "", fmt.Errorf(`%q is not one byte (\t is a tab)`, s)
	}
	return s, nil
}

// wholeNumber reads a number that may be below 0.
func wholeNumber(s string) (int32, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", s)
	}
	return int32(n), nil
}

func fraction(s string) (float64, error) {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", s)
	}
	return n, nil
}
