package api

import (
	_ "embed"
	"encoding/json"
	"math"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	pb "github.com/millrace/millrace/api/millracev1"
)

// comments.txt holds what job.proto says of each message, field and value: a
// name, a tab, the text, a line each. Generated code doesn't carry it. A test
// keeps it current.
//
//go:generate go test . -run "TestCommentsAreCurrent|TestSchema$" -update
//go:embed comments.txt
var commentsFile string

// Schema is the JSON Schema (draft 2020-12) of a job file, for editors.
func Schema() []byte {
	s := &schema{comments: readComments(), defs: object{}}
	root := s.message((&pb.JobSpec{}).ProtoReflect().Descriptor())
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "Millrace job"
	root["$defs"] = s.defs
	data, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic(err) // strings, numbers, lists and maps always marshal
	}
	return append(data, '\n')
}

// object is a JSON object; its keys are written in order.
type object = map[string]any

// schema gathers the definitions that the root refers to.
type schema struct {
	comments map[string]string
	defs     object
}

func readComments() map[string]string {
	comments := map[string]string{}
	for line := range strings.Lines(commentsFile) {
		name, comment, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		comments[name] = comment
	}
	return comments
}

// message is the schema of a message's fields.
func (s *schema) message(m protoreflect.MessageDescriptor) object {
	properties := object{}
	for i := range m.Fields().Len() {
		field := m.Fields().Get(i)
		property := s.field(field)
		property["description"] = s.comments[string(field.FullName())]
		properties[string(field.Name())] = property
	}
	o := object{
		"type": "object", "description": s.comments[string(m.FullName())],
		"properties": properties, "additionalProperties": false,
	}
	addRules(o, m.Name())
	return o
}

// addRules adds what binds fields together.
func addRules(o object, message protoreflect.Name) {
	switch message {
	case "JobSpec":
		o["required"] = []string{"source", "stages"}
	case "Source":
		o["oneOf"] = oneEach("files", "stdin", "records", "range")
	case "Stage":
		o["oneOf"] = oneEach("sql", "command", "function")
	case "FileSink":
		o["required"] = []string{"folder"}
	case "IntegerRange":
		o["required"] = []string{"to"}
	}
}

// oneEach is the alternatives of which a mapping must have exactly one.
func oneEach(names ...string) []object {
	alternatives := make([]object, len(names))
	for i, name := range names {
		alternatives[i] = object{"required": []string{name}}
	}
	return alternatives
}

func (s *schema) field(field protoreflect.FieldDescriptor) object {
	limit, known := bounds()[field.FullName()]
	switch {
	case field.IsMap():
		o := object{"type": "object", "additionalProperties": textOf(limit.each)}
		addCount(o, "maxProperties", limit.max)
		return o
	case field.IsList():
		o := object{"type": "array", "items": s.entry(field, limit)}
		addCount(o, "minItems", limit.min)
		addCount(o, "maxItems", limit.max)
		return o
	}
	return s.single(field, limit, known)
}

// textOf is the schema of text of at most so many bytes; 0 for any.
func textOf(most float64) object {
	o := object{"type": "string"}
	addCount(o, "maxLength", most)
	return o
}

// addCount adds a limit that is one.
func addCount(o object, keyword string, n float64) {
	if n > 0 && n < inf {
		o[keyword] = n
	}
}

// entry is the schema of one entry of a list; the list's own limit is not its.
func (s *schema) entry(field protoreflect.FieldDescriptor, limit bound) object {
	if field.FullName() == "millrace.v1.CommandOptions.ok_exit" {
		return s.single(field, bound{0, MaxExitStatus, 0}, true)
	}
	return s.single(field, bound{0, limit.each, 0}, limit.each > 0)
}

// single is the schema of one value.
func (s *schema) single(field protoreflect.FieldDescriptor, limit bound, known bool) object {
	switch {
	case isDuration(field):
		return object{"type": "string", "pattern": durationPattern, "examples": []string{"5s", "1m30s", "2d"}}
	case isBytes(field):
		return object{"anyOf": []object{
			number("integer", limit, known),
			{"type": "string", "pattern": bytesPattern, "examples": []string{"64MiB", "1.5GB"}},
		}}
	case field.Message() != nil:
		return s.reference(field.Message())
	case field.Enum() != nil:
		return s.enum(field.Enum())
	}
	switch field.Kind() {
	case protoreflect.StringKind:
		o := textOf(limit.max)
		addCount(o, "minLength", limit.min)
		return o
	case protoreflect.BoolKind:
		return object{"type": "boolean"}
	case protoreflect.DoubleKind:
		return number("number", limit, known)
	}
	return number("integer", limit, known)
}

// What ParseDuration and ParseBytes read.
const (
	durationPattern = `^[+-]?([0-9]*\.?[0-9]+(d|h|ms|m|s|us|µs|ns))+$|^0$`
	bytesPattern    = `^[0-9]+(\.[0-9]+)? ?([KMGT]iB|[kKMGT]B|B)?$`
)

func number(kind string, limit bound, known bool) object {
	o := object{"type": kind}
	if !known {
		limit = bound{0, inf, 0}
	}
	if limit.min > math.MinInt64 {
		o["minimum"] = limit.min
	}
	if limit.max < inf {
		o["maximum"] = limit.max
	}
	return o
}

func (s *schema) reference(m protoreflect.MessageDescriptor) object {
	name := string(m.Name())
	if _, there := s.defs[name]; !there {
		s.defs[name] = object{} // keeps a message within itself from going on for ever
		s.defs[name] = s.message(m)
	}
	return object{"$ref": "#/$defs/" + name}
}

// enum is the values with what each means.
func (s *schema) enum(enum protoreflect.EnumDescriptor) object {
	var values []object
	for i := range enum.Values().Len() {
		value := enum.Values().Get(i)
		if short := shortName(enum, value.Number()); short != "" {
			values = append(values, object{"const": short, "description": s.comments[string(value.FullName())]})
		}
	}
	return object{"oneOf": values}
}
