package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
)

// tell tells what happened: the failure, bad records, the summary. The error is
// of the file for --stats.
func (r *job) tell(last *pb.Job) error {
	s := r.summarize(last)
	if last.GetState() == pb.JobState_JOB_STATE_FAILED {
		tellFailure(r.app.stderr, last.GetFailure())
		r.tellUnnamed()
	}
	if !r.options.quiet {
		tellSkipped(r.app.stderr, last.GetStats())
		if err := r.tellSummary(s); err != nil {
			return err
		}
	}
	if r.options.stats == "" {
		return nil
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(r.options.stats, append(data, '\n'), 0o644)
}

// tellSummary writes the one line, or JSON: on standard output unless the result
// goes there.
func (r *job) tellSummary(s summary) error {
	if !r.app.json {
		switch {
		case s.OutputFiles > 0:
			fmt.Fprintf(r.app.stderr, "%s, %s, in %s\n", count(int64(s.OutputFiles), "file", "files"), size(s.BytesOut), plain(s.Output))
		case s.Output != "": // perhaps not to be seen from here
			fmt.Fprintf(r.app.stderr, "%s in %s\n", size(s.BytesOut), plain(s.Output))
		}
		text := s.String()
		if width, _, err := term.GetSize(int(r.app.stderr.Fd())); err == nil {
			text = wrapped(text, width)
		}
		_, err := fmt.Fprintln(r.app.stderr, text)
		return err
	}
	if !r.streams() {
		return r.app.printJSON(s)
	}
	return json.NewEncoder(r.app.stderr).Encode(s)
}

// tellUnnamed says how to make up for a name that standard input has not: a
// query over what was taken for lines finds none of its columns.
func (r *job) tellUnnamed() {
	if r.unnamed && r.spec.GetSource().GetFormat() == pb.Format_FORMAT_UNSPECIFIED {
		fmt.Fprintln(r.app.stderr, "  standard input has no name that tells its format: say --format csv, or what it is")
	}
}

// shellSigns are words that mean something to a shell alone.
var shellSigns = []string{"|", "||", "&&", "<", ">", ">>", "2>", "2>&1"}

// tellShellSigns says when a program gets as an argument what was surely meant
// for a shell.
func tellShellSigns(to io.Writer, spec *pb.JobSpec) {
	for _, stage := range spec.GetStages() {
		if stage.GetCommand() == "" || stage.GetCommandOptions().GetShell() {
			continue
		}
		words, _ := api.SplitCommand(stage.GetCommand())
		for _, word := range words {
			if slices.Contains(shellSigns, word) {
				fmt.Fprintf(to, "millrace: %q in the command is an argument like any other: did you mean --shell?\n", word)
				break
			}
		}
	}
}

// tellFailure says why a job failed: what, where, and what there is to see.
func tellFailure(to io.Writer, f *pb.Failure) {
	fmt.Fprintf(to, "millrace: the job failed: %s\n", strings.TrimSpace(indented(plainLines(f.GetMessage()), "  ")))
	if f.GetExitStatus() > 0 {
		fmt.Fprintf(to, "  exit status: %d\n", f.GetExitStatus())
	}
	if f.GetSignal() != "" {
		fmt.Fprintf(to, "  signal: %s\n", plain(f.GetSignal()))
	}
	if detail := strings.TrimSpace(f.GetDetail()); detail != "" {
		fmt.Fprintf(to, "%s\n", indented(plainLines(detail), "  | "))
	}
	tellRecords(to, f.GetBadRecords())
	if len(f.GetBadRecords()) > 0 {
		fmt.Fprintln(to, "  --skip-bad-records N leaves up to N of them out")
	}
}

// tellSkipped shows the first records that were left out.
func tellSkipped(to io.Writer, stats *pb.JobStats) {
	skipped := stats.GetCounters().GetRecordsSkipped()
	if skipped == 0 {
		return
	}
	fmt.Fprintf(to, "millrace: %s left out", count(skipped, "bad record was", "bad records were"))
	if shown := int64(len(stats.GetSkipped())); shown > 0 && shown < skipped {
		fmt.Fprintf(to, "; the first %d", shown)
	}
	fmt.Fprintln(to)
	tellRecords(to, stats.GetSkipped())
}

func tellRecords(to io.Writer, records []*pb.BadRecord) {
	for _, bad := range records {
		fmt.Fprintf(to, "  %s: %s: %q\n", plain(whereOf(bad)), plain(bad.GetReason()), bad.GetRecord())
	}
}

// whereOf is where a bad record begins.
func whereOf(bad *pb.BadRecord) string {
	switch {
	case bad.GetFile() == "" && bad.GetOffset() < 0:
		return "a record"
	case bad.GetFile() == "":
		return fmt.Sprintf("at %d", bad.GetOffset())
	case bad.GetOffset() < 0:
		return bad.GetFile()
	}
	return fmt.Sprintf("%s at %d", bad.GetFile(), bad.GetOffset())
}
