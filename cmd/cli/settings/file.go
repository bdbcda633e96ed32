package settings

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/millrace/millrace/api"
)

// MaxFileBytes is the largest config file that is read.
const MaxFileBytes = 1 << 20

// File is a config file: settings by the names of their flags, at the top for
// all commands, or under the name of one.
type File struct {
	// Path is where it was read.
	Path string

	fields map[string]map[string]*field // by section, "" for the top, and name
	faults api.Faults
}

// field is what a file says of one setting.
type field struct {
	texts        []string // several only of a list
	list         bool
	line, column int
}

// Read reads a config file. The error is all that is wrong with it at once, each
// with its place: cmds are the commands whose settings it may have. They take on
// what the file says, and so must not be run afterwards.
func Read(path string, cmds []*cobra.Command) (*File, error) {
	data, err := readAtMost(path, MaxFileBytes)
	if err != nil {
		return nil, fmt.Errorf("config file: %w", err)
	}
	f := &File{Path: path, fields: map[string]map[string]*field{}}
	f.parse(data, sectionsOf(cmds))
	f.check(cmds)
	if len(f.faults) == 0 {
		return f, nil
	}
	slices.SortStableFunc(f.faults, func(a, b api.Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return nil, f.faults
}

func readAtMost(path string, most int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("%s has more than %d bytes", path, most)
	}
	return data, err
}

// sectionsOf are the names of the commands that have settings of their own.
func sectionsOf(cmds []*cobra.Command) []string {
	var names []string
	for _, cmd := range cmds {
		if len(Of(cmd)) > 0 {
			names = append(names, cmd.Name())
		}
	}
	return names
}

// find is what a file says of a setting; nil for nothing.
func (f *File) find(section, name string) *field {
	if f == nil {
		return nil
	}
	if found := f.fields[section][name]; found != nil {
		return found
	}
	return f.fields[""][name]
}

// give sets a flag, and nothing of what it was set to before stays.
func (f *field) give(flag *pflag.Flag) error {
	v, ours := flag.Value.(*value)
	switch {
	case f.list && !(ours && v.many):
		return errors.New("one value is meant, and no list")
	case ours && v.many:
		v.reset()
	}
	for _, text := range f.texts {
		if err := flag.Value.Set(text); err != nil {
			return err
		}
	}
	return nil
}

// check tries each field on the commands that it is for.
func (f *File) check(cmds []*cobra.Command) {
	known := map[string]map[string]*pflag.Flag{"": {}}
	for _, cmd := range cmds {
		known[cmd.Name()] = map[string]*pflag.Flag{}
		for _, flag := range Of(cmd) {
			known[cmd.Name()][flag.Name] = flag
			known[""][flag.Name] = flag
		}
	}
	for section, fields := range f.fields {
		for name, found := range fields {
			f.checkField(section, name, found, known)
		}
	}
}

func (f *File) checkField(section, name string, found *field, known map[string]map[string]*pflag.Flag) {
	path := strings.TrimPrefix(section+"."+name, ".")
	flag := known[section][name]
	switch {
	case flag == nil && section != "" && known[""][name] != nil:
		f.fault(found, path, "is no setting of "+section, "others have it: millrace config")
	case flag == nil:
		f.fault(found, path, "is no setting", api.DidYouMean(name, slices.Sorted(maps.Keys(known[section])), "millrace config lists them"))
	default:
		if err := found.give(flag); err != nil {
			f.fault(found, path, "can't be used", err.Error())
		}
	}
}

func (f *File) fault(at *field, path, problem, meant string) {
	f.faults = append(f.faults, api.Fault{
		File: f.Path, Line: at.line, Column: at.column, Path: path, Problem: problem, Meant: meant,
	})
}

// parse reads the file's fields. An empty file has none.
func (f *File) parse(data []byte, sections []string) {
	defer func() {
		if recover() != nil { // the parser's own bug; the file is odd
			f.fault(&field{line: 1, column: 1}, "the file", "can't be read as YAML", "simplify it")
		}
	}()
	file, err := parser.ParseBytes(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		f.syntax(err)
		return
	}
	for _, doc := range file.Docs {
		switch doc.Body.(type) {
		case nil, *ast.CommentGroupNode, *ast.NullNode:
		default:
			f.section("", doc.Body, sections)
		}
	}
}

func (f *File) syntax(err error) {
	at, problem := &field{line: 1, column: 1}, err.Error()
	if e, ok := err.(yaml.Error); ok {
		problem = e.GetMessage()
		if token := e.GetToken(); token != nil && token.Position != nil {
			at.line, at.column = token.Position.Line, token.Position.Column
		}
	}
	f.fault(at, "the file", "can't be read as YAML", problem)
}

// section reads the fields of the top, or of one command.
func (f *File) section(section string, node ast.Node, sections []string) {
	fields, ok := pairsOf(node)
	if !ok {
		f.fault(placed(node), cmp.Or(section, "the file"), "has no fields", "settings by their names are meant, such as slots: 4")
		return
	}
	if f.fields[section] == nil {
		f.fields[section] = map[string]*field{}
	}
	for _, pair := range fields {
		name := textOf(pair.Key)
		if section == "" && slices.Contains(sections, name) {
			f.section(name, pair.Value, nil)
			continue
		}
		f.field(section, name, pair)
	}
}

func (f *File) field(section, name string, pair *ast.MappingValueNode) {
	found := placed(pair.Key)
	path := strings.TrimPrefix(section+"."+name, ".")
	if before := f.fields[section][name]; before != nil {
		f.fault(found, path, "is there twice", fmt.Sprintf("it stands in line %d already", before.line))
		return
	}
	if !found.read(pair.Value) {
		f.fault(found, path, "has a value that can't be used", "a word, a number, a list of them, or fields with them")
		return
	}
	f.fields[section][name] = found
}
