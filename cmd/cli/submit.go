package cli

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/cmd/cli/settings"
)

const submitName = "submit"

// submitOptions are the flags of `submit` that say nothing of the job itself.
type submitOptions struct {
	run    runOptions // those that it has in common with `run`
	client *clientOptions
	wait   bool
	cancel bool
	key    string
	user   string
	keep   *time.Duration // nil for what the coordinator says
}

const submitLong = `Submit a job to a coordinator: over files, folders and patterns, or as a job
file says, as millrace run does in this process. It prints the job's identifier;
with --wait it shows how the job goes and why it waits, prints the result, and
ends as millrace run does.

Relative paths are relative to the working directory here, and are made absolute
but not looked at: it is the workers that read and write files, those below
their data roots. Standard input is no file that they can read; what is small
enough for a job itself, up to 1 MiB of lines or JSON lines, goes along with it.

Whoever waits and is interrupted no longer waits; the job goes on, unless
--cancel-on-interrupt was said.`

const submitExample = `  # How many requests of each status? Wait for the answer
  millrace submit --wait '/data/logs/*.csv' --sql \
    'SELECT status, count(*) AS n FROM input GROUP BY status ORDER BY n DESC'

  # As a job file says; come back later
  id=$(millrace submit job.yaml)
  millrace watch $id && millrace result $id --output-format csv

  # Once, however often it is submitted
  millrace submit --key nightly-2026-01-31 job.yaml

  # To another coordinator, the result kept for a day
  millrace submit --server coordinator.example:7400 --keep 1d job.yaml

  # What would be done, and why so?
  millrace submit --explain --sql 'SELECT median(x) FROM input' '/data/*.csv'`

// submitGroups are those of `run`, with what a cluster has in place of slots and
// memory.
func submitGroups() []flagGroup {
	groups := []flagGroup{
		{"The cluster", append(slices.Clone(clientFlags), "wait", "cancel-on-interrupt", "key", "user", "keep")},
		{"Beside other jobs", []string{"priority", "weight", "label"}},
	}
	for _, group := range runGroups {
		group.flags = slices.DeleteFunc(slices.Clone(group.flags), func(name string) bool {
			return name == "slots" || name == "max-memory"
		})
		groups = append(groups, group)
	}
	return groups
}

func (a *app) submitCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: submitName + " [job.yaml] [file, folder or pattern…]", Short: "Submit a job",
		Long: submitLong, Example: submitExample,
	}
	flags := addJobFlags(cmd)
	flags.sharing()
	o := addSubmitFlags(cmd)
	a.completeFunctions(cmd)
	groupFlags(cmd, submitGroups())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		spec, err := a.jobOf(flags, args)
		if err != nil {
			return err
		}
		return a.submit(cmd.Context(), spec, o)
	}
	return cmd
}

func addSubmitFlags(cmd *cobra.Command) *submitOptions {
	o := &submitOptions{client: addClientFlags(cmd)}
	o.run.addTelling(cmd)
	f := settings.Flags{FlagSet: cmd.Flags()}
	f.BoolVar(&o.wait, "wait", false, "wait for the job's end, and print its result")
	f.BoolVar(&o.cancel, "cancel-on-interrupt", false, "with --wait: the first signal cancels the job")
	f.StringVar(&o.key, "key", "", "a `text` of your own, so that submitting again makes no second job")
	f.Text(&o.user, "user", "name", "the login's", "who submits, where no certificate says so")
	f.VarP(&value{kind: "time", parse: func(s string) error {
		keep, err := settings.Time(0)(s)
		o.keep = &keep
		return err
	}}, "keep", "", "keep the job and its result this long after its end (as the coordinator says, 1h); 0 to read the result once, while the job runs")
	settings.Mark(cmd.Flags().Lookup("keep"), "as the coordinator says")
	return o
}

// submit submits a job, and does with it what was asked for.
func (a *app) submit(ctx context.Context, spec *pb.JobSpec, o *submitOptions) error {
	form, err := a.chooseOutput(spec, o.run.format, terminalWidth(a.stdout) > 0)
	if err != nil {
		return err
	}
	if o.run.format == "" && form.format != "" {
		sink(spec).Format = pb.Format_FORMAT_ARROW // `result` can make anything of it
	}
	if err := a.takeAlong(ctx, spec); err != nil {
		return err
	}
	if err := makeAbsolute(spec); err != nil {
		return failed(err)
	}
	if faults := api.Check(spec); len(faults) > 0 {
		return &failure{statusUsage, faults}
	}
	if !o.run.quiet {
		tellShellSigns(a.stderr, spec)
	}
	return a.with(ctx, o.client, func(l *link) error {
		r := &job{app: a, spec: spec, options: &o.run, form: form, out: &output{to: a.stdout}, client: l.Client}
		return (&remote{job: r, link: l, ask: o}).submit(ctx)
	})
}

// options are what a submission says besides the job.
func (o *submitOptions) options() []api.SubmitOption {
	var options []api.SubmitOption
	if name := cmp.Or(o.user, loginName()); name != "" {
		options = append(options, api.As(name))
	}
	if o.keep != nil {
		options = append(options, api.KeepFor(*o.keep))
	}
	return options
}

// maxUserBytes is how long a user's name may be.
const maxUserBytes = 63

// loginName is the name of this process's user; empty where that is not known.
func loginName() string {
	login, err := user.Current()
	if err != nil || len(login.Username) > maxUserBytes {
		return ""
	}
	return login.Username
}

// makeAbsolute makes the paths of a job absolute. A scheme, as of an object
// store, is left as it is.
func makeAbsolute(spec *pb.JobSpec) error {
	here, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("the working directory, which relative paths are relative to: %w", err)
	}
	files := spec.GetSource().GetFiles()
	for i, path := range files {
		files[i] = absolute(here, path)
	}
	if sink := spec.GetSink().GetFiles(); sink != nil {
		sink.Folder = filepath.Clean(absolute(here, sink.GetFolder()))
	}
	return nil
}

// patternSigns are the characters that make a path a pattern.
const patternSigns = `*?[]{}\`

// absolute is a path or a pattern below here. What would make here itself a
// pattern is escaped where the rest is one.
func absolute(here, path string) string {
	if path == "" || filepath.IsAbs(path) || strings.Contains(path, "://") {
		return path
	}
	if strings.ContainsAny(path, patternSigns) {
		var escaped strings.Builder
		for _, c := range here {
			if strings.ContainsRune(patternSigns, c) {
				escaped.WriteByte('\\')
			}
			escaped.WriteRune(c)
		}
		return escaped.String() + "/" + strings.TrimPrefix(path, "./")
	}
	return filepath.Join(here, path)
}

// takeAlong makes standard input a part of the job, where it is small and lines.
func (a *app) takeAlong(ctx context.Context, spec *pb.JobSpec) error {
	s := spec.GetSource()
	if !s.GetStdin() && !slices.Contains(s.GetFiles(), stdinName) {
		return nil
	}
	switch {
	case len(s.GetFiles()) > 1:
		return cantRead("it stands among files")
	case s.GetCompression() > pb.Compression_COMPRESSION_NONE:
		return cantRead("it is compressed")
	case !slices.Contains([]pb.Format{pb.Format_FORMAT_UNSPECIFIED, pb.Format_FORMAT_LINES, pb.Format_FORMAT_JSON}, s.GetFormat()):
		return cantRead("it is " + api.ShortName(s.GetFormat()) + ", not lines")
	}
	data, err := a.readAll(ctx, api.MaxInlineBytes+1)
	switch {
	case err != nil:
		return err
	case len(data) > api.MaxInlineBytes:
		return cantRead("it is larger than 1 MiB")
	case len(data) == 0:
		return cantRead("it is empty")
	case bytes.ContainsRune(data, 0):
		return cantRead("it is no text")
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	s.Files, s.Stdin, s.Records = nil, false, lines
	if b := spec.GetBatch(); b.GetBatches() == 0 && b.GetRecords() == 0 && b.GetBytes() == 0 {
		batch(spec).Batches = 1 // as the file would be that `run` makes of it
	}
	return nil
}

// cantRead says why standard input can't be a part of the job, and what to do.
func cantRead(why string) error {
	return usage("workers can't read standard input of this process, and it can't go along with the job: %s\n"+
		"Write it to a file that all workers see, and name that; or: millrace run", why)
}

// readAll reads standard input, up to a number of bytes, or until ctx ends.
func (a *app) readAll(ctx context.Context, most int64) ([]byte, error) {
	type answer struct {
		data []byte
		err  error
	}
	read := make(chan answer, 1)
	go func() {
		data, err := io.ReadAll(io.LimitReader(a.stdin, most))
		read <- answer{data, err}
	}()
	select {
	case <-ctx.Done(): // the read may never end; the process is about to
		status, _ := isInterrupted(ctx)
		return nil, &failure{status, context.Cause(ctx)}
	case got := <-read:
		if got.err != nil {
			return nil, failed(fmt.Errorf("read standard input: %w", got.err))
		}
		return got.data, nil
	}
}

// tellSubmitted prints the identifier, or the job as JSON.
func (a *app) tellSubmitted(job *pb.Job) error {
	if a.json {
		return a.printLine(viewJob(job))
	}
	return a.print("%s\n", job.GetId())
}
