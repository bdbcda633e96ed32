package cli

import (
	"encoding/json"
	goflag "flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/cmd/cli/settings"
	"github.com/millrace/millrace/worker/processor/function"
)

// These tests keep the documentation honest: what it lists is what there is.

var update = goflag.Bool("update", false, "write the generated parts of docs/ anew")

const docs = "../../docs/"

// pages are the texts for users, by path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(docs + "*.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, path := range append(paths, "../../README.md") {
		texts[path] = page(t, path)
	}
	return texts
}

func page(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestDocsLinkToWhatIsThere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for path, text := range pages(t) {
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), found[1])); err != nil {
				t.Errorf("%s links to %s: %v", path, found[1], err)
			}
		}
	}
}

func TestDocsShowJobFilesThatAreRight(t *testing.T) {
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	for path, text := range pages(t) {
		for _, found := range block.FindAllStringSubmatch(text, -1) {
			if _, err := api.ParseJob([]byte(found[1]), path); err != nil {
				t.Error(err)
			}
		}
	}
}

// Programs that are shown are those of examples/, which other tests run.
func TestDocsShowExamplesAsTheyAre(t *testing.T) {
	block := regexp.MustCompile("(?s)```(?:go|python)\n(.*?)```")
	var examples strings.Builder
	for _, pattern := range []string{"*.go", "*.py"} {
		paths, _ := filepath.Glob("../../examples/*/" + pattern)
		for _, path := range paths {
			examples.WriteString(page(t, path))
		}
	}
	for path, text := range pages(t) {
		for _, found := range block.FindAllStringSubmatch(text, -1) {
			whole := strings.Contains(found[1], "import ") || strings.Count(found[1], "\n") > 10
			if whole && !strings.Contains(dense(examples.String()), dense(found[1])) {
				t.Errorf("%s shows a program that is no example:\n%s", path, found[1])
			}
		}
	}
}

// dense is a text without its empty lines.
func dense(text string) string { return regexp.MustCompile(`\n\s*\n`).ReplaceAllString(text, "\n") }

func TestDocsNameFlagsThatAre(t *testing.T) {
	named := regexp.MustCompile(`\bmillrace [^\n]*`)
	flags := regexp.MustCompile(`(?:^|[\s` + "`" + `])--([a-z][a-z-]*)`)
	root := docsApp(t).root()
	for path, text := range pages(t) {
		for _, line := range named.FindAllString(text, -1) {
			for _, found := range flags.FindAllStringSubmatch(ours(line), -1) {
				if !anyHas(root, found[1]) {
					t.Errorf("%s names the flag --%s in: %s", path, found[1], line)
				}
			}
		}
	}
}

// ours is a line without what it quotes: that is for other programs.
func ours(line string) string {
	quoted := regexp.MustCompile(`'[^']*'|"[^"]*"`)
	return quoted.ReplaceAllString(line, "")
}

func anyHas(cmd *cobra.Command, name string) bool {
	if name == "help" || cmd.Flags().Lookup(name) != nil || cmd.PersistentFlags().Lookup(name) != nil {
		return true
	}
	return slices.ContainsFunc(cmd.Commands(), func(c *cobra.Command) bool { return anyHas(c, name) })
}

func docsApp(t *testing.T) *app {
	t.Helper()
	functions, err := function.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	return &app{functions: functions}
}

// Each flag of run and submit has a row that names the field which it sets, but
// for settings of submit, which have theirs in settings.md.
func TestDocsMapFlagsToFields(t *testing.T) {
	rows := flagRows(t)
	a := docsApp(t)
	all := map[string]bool{}
	needed := func(f *pflag.Flag) { all[f.Name] = true }
	a.runCommand().Flags().VisitAll(needed)
	a.root().PersistentFlags().VisitAll(needed)
	a.submitCommand().Flags().VisitAll(func(f *pflag.Flag) { all[f.Name] = all[f.Name] || !settings.Is(f) })
	for name, needed := range all {
		row, there := rows[name]
		if !needed {
			continue
		}
		if !there {
			t.Errorf("no row tells of --%s", name)
			continue
		}
		if field := fieldOf(t, name); field != "" && !strings.HasPrefix(row, "`"+field+"`") {
			t.Errorf("--%s sets %s; its row says %s", name, field, row)
		}
	}
	for name := range rows {
		if !all[name] {
			t.Errorf("a row tells of --%s, which is not there", name)
		}
	}
}

// Each field that --stats writes has its place in a table.
func TestDocsTellTheStats(t *testing.T) {
	text := page(t, docs+"results.md")
	for _, field := range reflect.VisibleFields(reflect.TypeFor[summary]()) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name != "" && !strings.Contains(text, "`"+name+"`") {
			t.Errorf("results.md does not tell of %s", name)
		}
	}
}

func flagRows(t *testing.T) map[string]string {
	t.Helper()
	row := regexp.MustCompile("(?m)^\\| `--([a-z-]+)`[^|]* \\| (.*) \\|$")
	rows := map[string]string{}
	for _, found := range row.FindAllStringSubmatch(page(t, docs+"job-file.md"), -1) {
		rows[found[1]] = found[2]
	}
	return rows
}

// samples are values of which each flag takes one.
var samples = []string{"3", "true", "3s", "A=1", "csv", "gzip"}

// fieldOf is the field that a flag sets, found by setting it; empty for none.
func fieldOf(t *testing.T, name string) string {
	t.Helper()
	for _, sample := range samples {
		cmd := &cobra.Command{}
		flags := addJobFlags(cmd)
		flags.sharing()
		if cmd.Flags().Lookup(name) == nil {
			return ""
		}
		if cmd.Flags().Set(name, sample) != nil {
			continue
		}
		before := &pb.JobSpec{Stages: []*pb.Stage{{Processor: &pb.Stage_Command{Command: "cat"}}}}
		after := proto.Clone(before).(*pb.JobSpec)
		flags.spec(after)
		had := leaves("", before.ProtoReflect())
		for field, value := range leaves("", after.ProtoReflect()) {
			if had[field] != value {
				return field
			}
		}
	}
	t.Errorf("--%s sets nothing", name)
	return ""
}

// leaves are the fields that are set, down to those that hold no other fields.
func leaves(path string, m protoreflect.Message) map[string]string {
	set := map[string]string{}
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		at := strings.TrimPrefix(path+"."+string(field.Name()), ".")
		switch {
		case field.IsList() && field.Message() != nil:
			for i := range value.List().Len() {
				maps.Copy(set, leaves(at+"[]", value.List().Get(i).Message()))
			}
		case field.Message() != nil && !field.IsMap() && field.Message().Name() != "Duration":
			maps.Copy(set, leaves(at, value.Message()))
		default:
			set[at] = value.String()
		}
		return true
	})
	return set
}

const (
	fieldsBegin = "<!-- fields: begin; go test ./cmd/cli -run TestDocs -update -->\n"
	fieldsEnd   = "<!-- fields: end -->"
)

// The reference of the job file is made of its schema.
func TestDocsTellEveryField(t *testing.T) {
	path := docs + "job-file.md"
	text := page(t, path)
	head, rest, found := strings.Cut(text, fieldsBegin)
	_, tail, ended := strings.Cut(rest, fieldsEnd)
	if !found || !ended {
		t.Fatalf("%s has no place for the fields", path)
	}
	want := head + fieldsBegin + reference(t) + fieldsEnd + tail
	if want == text {
		return
	}
	if !*update {
		t.Fatalf("%s does not tell the fields as they are: go test ./cmd/cli -run TestDocs -update", path)
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// part is a schema, as far as the reference tells of it.
type part struct {
	Ref         string           `json:"$ref"`
	Type        string           `json:"type"`
	Description string           `json:"description"`
	Properties  map[string]*part `json:"properties"`
	Defs        map[string]*part `json:"$defs"`
	Required    []string         `json:"required"`
	Items       *part            `json:"items"`
	OneOf       []*part          `json:"oneOf"`
	AnyOf       []*part          `json:"anyOf"`
	Const       string           `json:"const"`
	Pattern     string           `json:"pattern"`
}

func reference(t *testing.T) string {
	t.Helper()
	var root part
	if err := json.Unmarshal(api.Schema(), &root); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	writeFields(&b, "JobSpec", &root, (&pb.JobSpec{}).ProtoReflect().Descriptor(), root.Defs)
	return b.String()
}

// writeFields writes the table of a message, and those of the messages in it.
func writeFields(b *strings.Builder, path string, p *part, m protoreflect.MessageDescriptor, defs map[string]*part) {
	title := strings.TrimPrefix(path, "JobSpec.")
	if path == "JobSpec" {
		title = "the job"
	}
	fmt.Fprintf(b, "### %s\n%s\n\n| field | type | meaning |\n|---|---|---|\n", title, p.Description)
	fields := m.Fields()
	for i := range fields.Len() {
		name := string(fields.Get(i).Name())
		f := p.Properties[name]
		needed := ""
		if slices.Contains(p.Required, name) {
			needed = "; required"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", name, f.kind(defs)+needed, strings.ReplaceAll(f.Description, "|", `\|`))
	}
	b.WriteString("\n")
	for i := range fields.Len() {
		field := fields.Get(i)
		if below := defs[p.Properties[string(field.Name())].target()]; below != nil {
			name := string(field.Name())
			if field.IsList() {
				name += "[]"
			}
			writeFields(b, path+"."+name, below, field.Message(), defs)
		}
	}
}

// target is the definition that a field refers to; empty for none.
func (p *part) target() string {
	if p.Items != nil {
		p = p.Items
	}
	return strings.TrimPrefix(p.Ref, "#/$defs/")
}

// kind is a type in words.
func (p *part) kind(defs map[string]*part) string {
	switch {
	case p.Items != nil:
		return "list of " + strings.Replace(p.Items.kind(defs), "whole number", "whole numbers", 1)
	case p.Ref != "":
		return "fields, below"
	case len(p.AnyOf) > 0:
		return "size"
	case len(p.OneOf) > 0:
		return p.choices()
	case p.Type == "object":
		return "names with texts"
	case strings.Contains(p.Pattern, "ms"):
		return "duration"
	}
	return map[string]string{"string": "text", "boolean": "true or false", "integer": "whole number", "number": "number"}[p.Type]
}

func (p *part) choices() string {
	words := make([]string, len(p.OneOf))
	for i, value := range p.OneOf {
		words[i] = "`" + value.Const + "`"
	}
	return strings.Join(words, ", ")
}
