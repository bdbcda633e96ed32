package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
)

func (a *app) explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "explain ID", Short: "Tell what a job does and why, and why it waits",
		Long: `Tell the plan of a job, its stages and their queries, how each is cut and why
so, and why what waits of it is waiting. What a job would do is told without
running it by: millrace submit --explain, or millrace run --explain`,
		Example: "  millrace explain k3x9a-7\n  millrace explain --json k3x9a-7 | jq -r .waiting[]",
		Args:    exactlyOne("which job? Give its identifier; millrace list tells it"),
	}
	o := addClientFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.with(cmd.Context(), o, func(l *link) error {
			job, err := l.Get(cmd.Context(), args[0])
			if err != nil {
				return l.told(cmd.Context(), err)
			}
			told, err := l.Explain(cmd.Context(), args[0])
			if err != nil {
				return l.told(cmd.Context(), err)
			}
			return a.tellPlan(told, job)
		})
	}
	return cmd
}

// explain tells the plan of a job that was only planned.
func (r *job) explain(last *pb.Job) error {
	told, err := r.client.Explain(r.alive, last.GetId())
	if err != nil {
		return failed(err)
	}
	return r.app.tellPlan(told, last)
}

func (a *app) tellPlan(told *pb.ExplainJobResponse, job *pb.Job) error {
	if a.json {
		data, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(told)
		if err != nil {
			return failed(err)
		}
		return a.printJSON(json.RawMessage(data))
	}
	var b strings.Builder
	if told.GetPlan() != nil {
		writePlan(&b, told)
	}
	writeSentences(&b, "notes", unsaid(job.GetNotes(), told.GetPlan()))
	if !api.Ended(job.GetState()) {
		writeSentences(&b, "cut", told.GetCutting())
		writeSentences(&b, "waits", told.GetWaiting())
		if told.GetPlan() == nil && len(told.GetWaiting()) == 0 {
			b.WriteString("its plan is being made\n")
		}
	}
	return a.print("%s", plainLines(b.String()))
}

// writeSentences writes a heading with sentences under it; nothing for none.
func writeSentences(to io.Writer, heading string, sentences []string) {
	if len(sentences) == 0 {
		return
	}
	fmt.Fprintln(to, heading)
	for _, sentence := range sentences {
		fmt.Fprintf(to, "  %s\n", plain(sentence))
	}
}

// unsaid are the notes that the plan does not hold already.
func unsaid(notes []string, plan *pb.Plan) []string {
	var left []string
	for _, note := range notes {
		said := slices.ContainsFunc(plan.GetStages(), func(s *pb.StagePlan) bool { return s.GetReason() == note })
		if !said && !slices.Contains(left, note) {
			left = append(left, note)
		}
	}
	return left
}

func writePlan(to io.Writer, told *pb.ExplainJobResponse) {
	plan := told.GetPlan()
	fmt.Fprintf(to, "source: %s\n", sourceLine(plan, told.GetFragments()))
	writeColumns(to, plan.GetColumns())
	for i, stage := range plan.GetStages() {
		writeStage(to, i, stage)
	}
	fmt.Fprintf(to, "result: %s\n", orElse(api.ShortName(plan.GetResultFormat()), "as the last stage makes it"))
	writeColumns(to, plan.GetResultColumns())
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// sourceLine says how much there is, of what.
func sourceLine(plan *pb.Plan, fragments int64) string {
	if len(plan.GetFragments()) > 0 && plan.GetFragments()[0].GetPath() == "" {
		return "inline records"
	}
	var bytes int64
	for _, fragment := range plan.GetFragments() {
		bytes += fragment.GetSizeBytes()
	}
	atLeast := ""
	if fragments > int64(len(plan.GetFragments())) {
		atLeast = "at least "
	}
	line := fmt.Sprintf("%s, %s%s, %s", count(fragments, "file", "files"), atLeast, size(bytes), api.ShortName(plan.GetFormat()))
	if csv := plan.GetCsv(); csv != nil {
		line += fmt.Sprintf(" (delimiter %q, quote %q, header %t)", csv.GetDelimiter(), csv.GetQuote(), csv.GetHeader())
	}
	return line
}

// maxColumns is how many columns are told.
const maxColumns = 50

func writeColumns(to io.Writer, columns []*pb.Column) {
	if len(columns) == 0 {
		return
	}
	var names []string
	for _, column := range columns[:min(len(columns), maxColumns)] {
		names = append(names, plain(strings.TrimSpace(column.GetName()+" "+column.GetType())))
	}
	if more := len(columns) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	fmt.Fprintf(to, "  columns: %s\n", strings.Join(names, ", "))
}

func writeStage(to io.Writer, i int, stage *pb.StagePlan) {
	input := "reads the source, " + cutLine(stage.GetCut())
	if stage.GetInput() == pb.StageInput_STAGE_INPUT_COLLECT {
		input = "collects all outputs of the stage before in one batch"
	}
	fmt.Fprintf(to, "stage %d%s: %s\n", i+1, called(stage.GetName()), input)
	if stage.GetReason() != "" {
		fmt.Fprintf(to, "  why: %s\n", plain(stage.GetReason()))
	}
	for _, step := range stage.GetSteps() {
		writeStep(to, "step", step)
	}
	if stage.GetCombine() != nil {
		writeStep(to, "merges neighbours by", stage.GetCombine())
	}
	if len(stage.GetRequires()) > 0 {
		fmt.Fprintf(to, "  needs: %s\n", plain(strings.Join(stage.GetRequires(), ", ")))
	}
}

// called is the name of a stage that its user has named; others have a number.
func called(name string) string {
	if _, err := strconv.Atoi(name); name == "" || err == nil {
		return ""
	}
	return " (" + plain(name) + ")"
}

// cutLine says how the source is cut.
func cutLine(cut *pb.Cut) string {
	var line string
	switch cut.GetRule() {
	case pb.CutRule_CUT_RULE_ONE:
		return "in one batch"
	case pb.CutRule_CUT_RULE_BATCHES:
		line = "in " + count(cut.GetSize(), "batch", "batches")
	case pb.CutRule_CUT_RULE_RECORDS:
		line = "in batches of " + count(cut.GetSize(), "record", "records")
	case pb.CutRule_CUT_RULE_BYTES:
		line = "in batches of about " + size(cut.GetSize())
	default:
		line = "cut by measured speed"
	}
	if cut.GetWholeFiles() {
		line += ", whole files"
	}
	if cut.GetMaxFiles() > 0 {
		line += fmt.Sprintf(", at most %s a batch", count(int64(cut.GetMaxFiles()), "file", "files"))
	}
	return line
}

func writeStep(to io.Writer, what string, step *pb.Step) {
	switch p := step.GetProcessor().(type) {
	case *pb.Step_Sql:
		fmt.Fprintf(to, "  %s: sql\n%s\n", what, indented(p.Sql.GetQuery(), "    "))
	case *pb.Step_Command:
		fmt.Fprintf(to, "  %s: command %s\n", what, strings.ReplaceAll(commandLine(p.Command), "\n", "\n    "))
	case *pb.Step_Function:
		phase := strings.ToLower(strings.TrimPrefix(p.Function.GetPhase().String(), "FUNCTION_PHASE_"))
		fmt.Fprintf(to, "  %s: function %s (%s)\n", what, plain(p.Function.GetName()), phase)
	case *pb.Step_Encode:
		fmt.Fprintf(to, "  %s: write %s\n", what, api.ShortName(p.Encode.GetFormat()))
	}
}

// commandLine is a program with its arguments, each as it would be typed.
func commandLine(c *pb.CommandStep) string {
	words := make([]string, len(c.GetArgv()))
	for i, word := range c.GetArgv() {
		words[i] = word
		if split, err := api.SplitCommand(word); err != nil || len(split) != 1 || split[0] != word {
			words[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}
