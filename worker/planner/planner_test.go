//go:build cgo

package planner

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
	"github.com/millrace/millrace/worker/processor/function"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestPlans plans the jobs of testdata. Each file holds sections that begin
// with `-- name --`: the job, the files that its source has, and last the plan.
func TestPlans(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { golden(t, file) })
	}
}

func golden(t *testing.T, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, want, _ := strings.Cut(string(data), "-- plan --\n")
	t.Chdir(t.TempDir())
	job := unpack(t, head)
	got := planText(t, job)
	if got == want {
		return
	}
	if !*update {
		t.Fatalf("got:\n%s\nwant:\n%s", got, want)
	}
	t.Chdir("/")
	if err := os.WriteFile(mustAbs(file), []byte(head+"-- plan --\n"+got), 0o644); err != nil {
		t.Fatal(err)
	}
}

// here is the package's folder, before a test goes elsewhere.
var here, _ = os.Getwd()

func mustAbs(file string) string { return filepath.Join(here, file) }

// unpack writes the files of a golden file, and gives its job.
func unpack(t *testing.T, head string) (job string) {
	t.Helper()
	for _, section := range strings.Split("\n"+head, "\n-- ")[1:] {
		name, body, _ := strings.Cut(section, " --\n")
		if name == "job" {
			job = body
			continue
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(expand(body)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return job
}

// expand repeats a line that ends in ` *N`, for files that are large enough to
// be cut.
func expand(body string) string {
	var out strings.Builder
	for line := range strings.Lines(body + "\n") {
		var n int
		text, times, _ := strings.Cut(line, " *")
		if _, err := fmt.Sscanf(times, "%d\n", &n); err == nil {
			line = strings.Repeat(text+"\n", n)
		}
		out.WriteString(line)
	}
	return strings.TrimSuffix(out.String(), "\n")
}

func planText(t *testing.T, job string) string {
	t.Helper()
	spec, err := api.ParseJob([]byte(job), "job.yaml")
	if err != nil {
		t.Fatal(err)
	}
	folder, _ := os.Getwd()
	plan, err := Plan(t.Context(), &pb.JobContext{Spec: spec, JobId: "job"}, Deps{Functions: functions(t), Threads: 2})
	text := ""
	var failed *processor.Failure
	switch {
	case errors.As(err, &failed):
		text = "error: " + failed.Error() + "\n"
	case err != nil:
		t.Fatal(err)
	default:
		text = show(plan)
	}
	return strings.ReplaceAll(text, folder+"/", "")
}

func functions(t *testing.T) *function.Registry {
	t.Helper()
	type row struct {
		Name string `json:"name"`
		Size int64  `json:"size"`
	}
	r, err := function.NewRegistry(
		function.Keyed("words", func(string, func(string, int64)) error { return nil }, func(a, b int64) int64 { return a + b }),
		function.Map("upper", func(string, func(string)) error { return nil }),
		function.Map("rows", func(string, func(row)) error { return nil }),
	)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// show writes a plan for people.
func show(p *pb.Plan) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", word(p.GetFormat()), columnText(p.GetColumns()))
	if c := p.GetCsv(); c != nil {
		fmt.Fprintf(&b, "  delimiter %q quote %q escape %q header %v\n", c.GetDelimiter(), c.GetQuote(), c.GetEscape(), c.GetHeader())
	}
	for _, f := range p.GetFragments() {
		fmt.Fprintf(&b, "  %s %d %s%s", f.GetPath(), f.GetExtent(), strings.ToLower(strings.TrimPrefix(f.GetUnit().String(), "UNIT_")), flagText(f.GetWhole(), " whole"))
		if n := len(f.GetCuts()); n > 0 {
			fmt.Fprintf(&b, ", %d cuts at %v", n, f.GetCuts()[:min(n, 4)])
		}
		b.WriteString("\n")
	}
	for _, s := range p.GetStages() {
		showStage(&b, s)
	}
	fmt.Fprintf(&b, "result %s: %s\n", word(p.GetResultFormat()), columnText(p.GetResultColumns()))
	for _, n := range p.GetNotes() {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	return b.String()
}

func showStage(b *strings.Builder, s *pb.StagePlan) {
	cut := s.GetCut()
	fmt.Fprintf(b, "stage %s: %s %s, cut %s", s.GetName(), strings.ToLower(strings.TrimPrefix(s.GetInput().String(), "STAGE_INPUT_")),
		word(s.GetInputFormat()), strings.ToLower(strings.TrimPrefix(cut.GetRule().String(), "CUT_RULE_")))
	fmt.Fprintf(b, "%s%s%s\n", flagText(cut.GetSize() > 0, fmt.Sprintf(" %d", cut.GetSize())),
		flagText(cut.GetMaxFiles() > 0, fmt.Sprintf(" max files %d", cut.GetMaxFiles())), flagText(cut.GetWholeFiles(), " whole files"))
	fmt.Fprintf(b, "  reason: %s\n", s.GetReason())
	for _, step := range s.GetSteps() {
		fmt.Fprintf(b, "  %s\n", stepText(step))
	}
	if s.GetCombine() != nil {
		fmt.Fprintf(b, "  combine: %s\n", stepText(s.GetCombine()))
	}
	if s.PrefixLimit != nil {
		fmt.Fprintf(b, "  ends after: %d records\n", s.GetPrefixLimit())
	}
	fmt.Fprintf(b, "  output %s, requires %v\n", strings.ToLower(strings.TrimPrefix(s.GetOutput().String(), "OUTPUT_KIND_")), s.GetRequires())
}

func stepText(step *pb.Step) string {
	switch p := step.GetProcessor().(type) {
	case *pb.Step_Sql:
		return fmt.Sprintf("sql over (%s): %s\n    gives (%s)", columnText(p.Sql.GetColumns()), p.Sql.GetQuery(), columnText(p.Sql.GetResult()))
	case *pb.Step_Command:
		o := p.Command.GetOptions()
		return fmt.Sprintf("command %q: %s to %s", p.Command.GetArgv(), word(o.GetInputFormat()), word(o.GetOutputFormat()))
	case *pb.Step_Function:
		return fmt.Sprintf("function %s: %s", p.Function.GetName(), strings.ToLower(strings.TrimPrefix(p.Function.GetPhase().String(), "FUNCTION_PHASE_")))
	case *pb.Step_Encode:
		return fmt.Sprintf("encode %s%s", word(p.Encode.GetFormat()), flagText(p.Encode.GetHeader(), " with header"))
	}
	return "nothing"
}

func word(f pb.Format) string { return strings.ToLower(strings.TrimPrefix(f.String(), "FORMAT_")) }

func flagText(set bool, text string) string {
	if set {
		return text
	}
	return ""
}

func columnText(columns []*pb.Column) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = c.GetName() + " " + c.GetType()
	}
	return strings.Join(list, ", ")
}
