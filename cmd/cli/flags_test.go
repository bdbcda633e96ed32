package cli

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor/function"
)

// specOf is the job that a command line means.
func specOf(t *testing.T, args ...string) (*pb.JobSpec, error) {
	t.Helper()
	functions, err := function.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	a := &app{functions: functions, stdout: os.Stdout, stderr: os.Stderr}
	cmd := &cobra.Command{Use: "run"}
	flags := addJobFlags(cmd)
	if err := cmd.ParseFlags(args); err != nil {
		return nil, usage("%w", err)
	}
	return a.jobOf(flags, cmd.Flags().Args())
}

// jobFile is a job file with a full job, for flags to override.
func jobFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "job.yaml")
	const text = `
name: from the file
source: {files: [a.csv], format: csv}
stages:
  - name: first
    sql: SELECT * FROM input
  - command: cat
    command_options: {env: {A: "1"}}
  - command: wc -l
batch: {records: 10, files: 3}
retries: 5
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	query = "source: {files: [a.csv]}\nstages: [{sql: SELECT 1 FROM input}]\n"
	prog  = "source: {files: [a.csv]}\nstages: [{command: wc -w, command_options: {%}}]\n"
	filed = `
source: {files: [a.csv], format: csv%source}
name: %name
stages:
  - {name: first, sql: SELECT * FROM input}
  - {command: cat, command_options: {env: {A: "1"%env}%options}}
  - {command: wc -l%last}
batch: {%batch, files: 3}
retries: %retries
`
)

// file is the job of jobFile with parts replaced.
func file(replace ...string) string {
	text := strings.NewReplacer(replace...).Replace(filed)
	return strings.NewReplacer("%source", "", "%name", "from the file", "%env", "", "%options", "", "%last", "",
		"%batch", "records: 10", "%retries", "5").Replace(text)
}

// What flags mean is told by the job file that means the same.
func TestFlagsMeanJobs(t *testing.T) {
	sql := []string{"--sql", "SELECT 1 FROM input", "a.csv"}
	command := []string{"--command", "wc -w", "a.csv"}
	job := []string{jobFile(t)}
	for _, test := range []struct {
		args []string
		more string
		want string
	}{
		{sql, "", query},
		{sql, "--format csv --compression zstd", strings.Replace(query, "]}", "], format: csv, compression: zstd}", 1)},
		{sql, `--csv-delimiter \t --csv-quote= --csv-escape \ --csv-header`,
			strings.Replace(query, "]}", `], csv: {delimiter: "\t", quote: "", escape: "\\", header: true}}`, 1)},
		{sql, "--csv-header=false --union-by-name", strings.Replace(query, "]}", "], csv: {header: false, union_by_name: true}}", 1)},
		{sql, "--max-record 1MiB", strings.Replace(query, "]}", "], max_record_bytes: 1MiB}", 1)},
		{sql, "--output out --overwrite --single", query + "sink: {files: {folder: out, overwrite: true, single: true}}"},
		{sql, "--batches 10", query + "batch: {batches: 10}"},
		{sql, "--batch-records 1000 --batch-files 2", query + "batch: {records: 1000, files: 2}"},
		{sql, "--batch-bytes 16MiB", query + "batch: {bytes: 16MiB}"},
		{sql, "--delay 1m30s", query + "delay: 1m30s"},
		{sql, "--retries 0 --timeout 5s --deadline 1d", query + "retries: 0\nlimits: {batch_timeout: 5s, deadline: 1d}"},
		{sql, "--skip-bad-records 7 --max-concurrency 1", query + "limits: {skip_bad_records: 7, max_concurrency: 1}"},
		{sql, "--name n", query + "name: n"},
		{[]string{"--function", "words", "-", "b"}, "", "source: {files: ['-', b]}\nstages: [{function: words}]"},
		{command, "--ok-exit 0,1 --shell", strings.Replace(prog, "%", "ok_exit: [0, 1], shell: true", 1)},
		{command, "--command-format json --command-output lines", strings.Replace(prog, "%", "input_format: json, output_format: lines", 1)},
		{command, "--warm --env A=1 --env B=x=y", strings.Replace(prog, "%", `warm: true, env: {A: "1", B: x=y}`, 1)},
		{job, "", file()},
		{job, "--batches 4", file("%batch", "batches: 4")},
		{job, "--retries 1 --name n", file("%retries", "1", "%name", "n")},
		{job, "--csv-header", file("%source", ", csv: {header: true}")},
		{job, "--env B=2 --shell", file("%env", `, B: "2"`, "%options", ", shell: true", "%last", `, command_options: {env: {B: "2"}, shell: true}`)},
		{job, "b.csv", strings.Replace(file(), "a.csv", "b.csv", 1)},
	} {
		name := strings.Join(append(test.args[:len(test.args):len(test.args)], test.more), " ")
		got, err := specOf(t, append(test.args[:len(test.args):len(test.args)], strings.Fields(test.more)...)...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want, err := api.ParseJob([]byte(test.want), "want")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !proto.Equal(got, want) {
			t.Errorf("%s:\n got %s\nwant %s", name, prototext.Format(got), prototext.Format(want))
		}
	}
}

func TestWrongFlags(t *testing.T) {
	for args, want := range map[string]string{
		"":                              "nothing to do",
		"a.csv":                         "nothing to do",
		"--sql x":                       "no input",
		"nowhere.yaml":                  "nowhere.yaml",
		"--sql x --delay 5x a":          "5s, 1m30s",
		"--sql x --delay 5 a":           "5s, 1m30s",
		"--sql x --batch-bytes many a":  "64MiB",
		"--sql x --batches -1 a":        "whole number",
		"--sql x --batch-files 1e3 a":   "whole number",
		"--sql x --retries 99999999999": "whole number",
		"--sql x --format CSV a":        "one of lines, csv",
		"--sql x --csv-delimiter ;; a":  "one byte",
		"--sql x --csv-header=maybe a":  "true nor false",
		"--command x --ok-exit 0,256 a": "256",
		"--command x --ok-exit 0, a":    "exit status",
		"--command x --env A a":         "NAME=VALUE",
		"--no-such-flag":                "no-such-flag",
	} {
		_, err := specOf(t, strings.Fields(args)...)
		var f *failure
		if !errors.As(err, &f) || f.status != statusUsage || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want status 2 and %q", args, err, want)
		}
	}
}

// What a job must make for each way to write its result.
func TestChooseOutput(t *testing.T) {
	for _, test := range []struct {
		stage, asked string
		terminal     bool
		form         string
		makes        pb.Format
	}{
		{"sql", "", true, "table", pb.Format_FORMAT_ARROW},
		{"sql", "", false, "csv", pb.Format_FORMAT_CSV},
		{"sql", "json", true, "json", pb.Format_FORMAT_JSON},
		{"sql", "parquet", false, "parquet", pb.Format_FORMAT_ARROW},
		{"sql", "arrow", false, "arrow", pb.Format_FORMAT_ARROW},
		{"sql", "table", false, "table", pb.Format_FORMAT_ARROW},
		{"command", "", true, "", pb.Format_FORMAT_UNSPECIFIED},
		{"command", "", false, "", pb.Format_FORMAT_UNSPECIFIED},
		{"command", "lines", false, "lines", pb.Format_FORMAT_LINES},
		{"command --warm", "", true, "table", pb.Format_FORMAT_ARROW},
		{"command --warm", "", false, "csv", pb.Format_FORMAT_ARROW},
		{"command --warm", "json", false, "json", pb.Format_FORMAT_JSON},
		{"command --command-output=arrow", "", false, "csv", pb.Format_FORMAT_ARROW},
		{"command --command-output=csv", "", true, "table", pb.Format_FORMAT_ARROW},
		{"command --command-output=csv", "", false, "", pb.Format_FORMAT_UNSPECIFIED},
	} {
		stage, more, _ := strings.Cut(test.stage, " ")
		spec, err := specOf(t, append(strings.Fields(more), "--"+stage, "x", "a")...)
		if err != nil {
			t.Fatal(err)
		}
		form, err := (&app{}).chooseOutput(spec, test.asked, test.terminal)
		if err != nil || form.format != test.form || spec.GetSink().GetFormat() != test.makes {
			t.Errorf("%+v: %q by %s, %v", test, form.format, spec.GetSink().GetFormat(), err)
		}
	}
}

func TestChooseOutputOfFiles(t *testing.T) {
	spec, err := specOf(t, "--sql", "x", "--output", "out", "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&app{}).chooseOutput(spec, "parquet", true); err != nil || spec.GetSink().GetFormat() != pb.Format_FORMAT_PARQUET {
		t.Errorf("%s, %v", spec.GetSink(), err)
	}
	for _, wrong := range []string{"table", "xml"} {
		if _, err := (&app{}).chooseOutput(spec, wrong, true); err == nil {
			t.Errorf("%s: no error", wrong)
		}
	}
}

func TestNumbersForPeople(t *testing.T) {
	for got, want := range map[string]string{
		grouped(0): "0", grouped(999): "999", grouped(-1234567): "-1,234,567",
		size(999): "999 B", size(84_100_000): "84.1 MB", size(250_000): "250 kB",
		short(2_340_000): "2.3M", short(12): "12", short(0): "0",
		count(1, "retry", "retries"): "1 retry", count(1200, "retry", "retries"): "1,200 retries",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A time that can't be is refused, not taken for the default.
func TestTimesBelowNothing(t *testing.T) {
	w := place(t, books)
	for _, args := range [][]string{
		{"drain", "--within", "-5s", "w1"},
		{"submit", "--keep", "-5s", "--command", "wc", "books"},
		{"certs", "pki", "--valid", "0s"},
		{"worker", "--drain-within", "-5s"},
	} {
		w.want(w.run("", args...), 2, "", "too short")
	}
}

// A program is told so that it can be typed again.
func TestCommandLineIsTyped(t *testing.T) {
	for _, argv := range [][]string{
		{"wc", "-w"}, {"grep", "a b", ""}, {"sed", `s/'/"/`}, {"awk", `{print "$1\n"}`}, {"echo", "#1", "a\nb", `\`},
	} {
		line := commandLine(&pb.CommandStep{Argv: argv})
		if words, err := api.SplitCommand(line); err != nil || !slices.Equal(words, argv) {
			t.Errorf("%q is told as %s, which is %q (%v)", argv, line, words, err)
		}
	}
}
