package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/cmd/cli/embedded"
	"github.com/millrace/millrace/cmd/cli/settings"
	"github.com/millrace/millrace/worker/duckdb"
)

// runOptions are the flags of `run` that say nothing of the job itself.
type runOptions struct {
	slots   int // 0 on a cluster
	memory  int64
	format  string // of the result; empty for what fits best
	stats   string
	explain bool
	quiet   bool
}

const runName = "run"

const runLong = `Run a job in this process, on all cores: over files, folders and patterns (**
too), or as a job file says. Files are taken in the order given, those of a
pattern in the order of their names; - is standard input. Relative paths, in job
files too, are relative to the working directory.

What is done to the records is one of
  --sql       a query. FROM input is the whole input, however it is cut. The
              columns are the file's own (column0, column1, … for CSV without a
              header); of text they are line, file and offset.
  --command   a program, for each file or batch. The line is split as a shell
              would quote, and nothing in it is expanded.
  --function  a function of this binary.

The result goes to standard output, everything else to standard error. On a
terminal records are a table; in a pipe they are CSV with a header, and what a
program writes is passed on as it is. With a job file, flags override what it
says, and files given after it replace its source.`

const runExample = `  # How many requests of each status?
  millrace run 'logs/*.csv' --sql \
    'SELECT status, count(*) AS n FROM input GROUP BY status ORDER BY n DESC'

  # The words of each book, four programs at a time
  millrace run --slots 4 --command 'wc -w' 'books/**/*.txt'

  # Lines that match, from what is piped in; grep says 1 when there is none
  ssh host cat big.log |
    millrace run --command 'grep ERROR' --ok-exit 0,1 --batch-bytes 16MB -

  # A pipeline of programs needs a shell
  millrace run --shell --command 'sort -u | wc -l' 'books/*.txt'

  # JSON lines to Parquet files, one for each batch
  millrace run --sql 'SELECT * FROM input' 'events/*.json' \
    --output out/ --output-format parquet

  # What would be done, and why so?
  millrace run --explain --sql 'SELECT median(x) FROM input' 'data/*.csv'

  # Everything as a file says, but with other batches
  millrace run job.yaml --batches 10`

func (a *app) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: runName + " [job.yaml] [file, folder or pattern…]", Short: "Run a job in this process",
		Long: runLong, Example: runExample,
	}
	flags := addJobFlags(cmd)
	o := &runOptions{}
	o.addTelling(cmd)
	addRunSettings(cmd, o)
	a.completeFunctions(cmd)
	groupFlags(cmd, runGroups)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		spec, err := a.jobOf(flags, args)
		if err != nil {
			return err
		}
		return a.run(cmd.Context(), spec, o)
	}
	return cmd
}

// addRunSettings adds what this process may use.
func addRunSettings(cmd *cobra.Command, o *runOptions) {
	f := settings.Flags{FlagSet: cmd.Flags()}
	f.Count(&o.slots, "slots", "all cores", 1, "run this many batches at once")
	f.Bytes(&o.memory, "max-memory", "70% of what is free, at most 768MiB", 1, "memory for batches")
}

// finish gives what this process may use where nobody said.
func (o *runOptions) finish() error {
	o.slots = cmp.Or(o.slots, runtime.GOMAXPROCS(0))
	o.memory = cmp.Or(o.memory, embedded.DefaultMemory())
	return nil
}

// addTelling adds the flags of what is told, and how.
func (o *runOptions) addTelling(cmd *cobra.Command) {
	set := cmd.Flags()
	set.StringVar(&o.format, "output-format", "", "the result's `format`: "+strings.Join(outputFormats, ", "))
	complete(cmd, "output-format", outputFormats...)
	set.BoolVar(&o.explain, "explain", false, "tell what would be done and why, and stop")
	set.BoolVarP(&o.quiet, "quiet", "q", false, "no progress and no summary")
	set.StringVar(&o.stats, "stats", "", "write what happened to this `file`, as JSON")
}

func (a *app) completeFunctions(cmd *cobra.Command) {
	complete(cmd, "function", a.functions.Names()...)
}

// jobOf is the job of a command line: a job file's or a new one, with what flags
// and paths say.
func (a *app) jobOf(flags *jobFlags, args []string) (*pb.JobSpec, error) {
	if flags.changed("sql", "command", "function") > 1 {
		return nil, usage("--sql, --command and --function exclude each other: a chain of stages takes a job file")
	}
	spec := &pb.JobSpec{}
	if !flags.anyChanged("sql", "command", "function") && len(args) > 0 && isJobFile(args[0]) {
		var err error
		if spec, err = a.readJob(args[0]); err != nil {
			return nil, err
		}
		args = args[1:]
	}
	if len(args) > 0 {
		replaceSource(spec, args)
	}
	flags.spec(spec)
	return spec, a.whatIsMissing(spec)
}

func isJobFile(path string) bool {
	return slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(filepath.Ext(path)))
}

// replaceSource gives a job other records, in the same format.
func replaceSource(spec *pb.JobSpec, paths []string) {
	s := source(spec)
	s.Files, s.Stdin, s.Records, s.Range = paths, false, nil, nil
}

// whatIsMissing tells it in the words of the command line, before the check of
// the job does in those of job files.
func (a *app) whatIsMissing(spec *pb.JobSpec) error {
	s, files := spec.GetSource(), spec.GetSink().GetFiles()
	switch {
	case files != nil && files.GetFolder() == "":
		return usage("--overwrite and --single are for files: name their folder with --output")
	case len(spec.GetStages()) == 0:
		return usage("nothing to do: give a job file, or one of --sql, --command and --function\nSee: %s --help", a.command)
	case s == nil, len(s.GetFiles()) == 0 && !s.GetStdin() && len(s.GetRecords()) == 0 && s.GetRange() == nil:
		return usage("no input: name files, folders or patterns, or - for standard input")
	}
	return nil
}

// run runs a job, or explains it.
func (a *app) run(ctx context.Context, spec *pb.JobSpec, o *runOptions) error {
	screen := term.IsTerminal(int(a.stdout.Fd()))
	if o.slots == 0 {
		o.slots = runtime.GOMAXPROCS(0)
	}
	form, err := a.chooseOutput(spec, o.format, screen)
	if err != nil {
		return err
	}
	if faults := api.Check(spec); len(faults) > 0 {
		return &failure{statusUsage, faults}
	}
	if err := a.ableTo(spec); err != nil {
		return failed(err)
	}
	r := &job{app: a, spec: spec, options: o, form: form, out: &output{to: a.stdout}}
	r.progress = newProgress(a.stderr, !o.quiet && !o.explain)
	if !o.quiet {
		tellShellSigns(a.stderr, spec)
	}
	return r.embedded(ctx)
}

// ableTo finds what a job needs and this process has not. A cluster would wait
// for a worker that has it; here none will ever come.
func (a *app) ableTo(spec *pb.JobSpec) error {
	for _, stage := range spec.GetStages() {
		switch p := stage.GetProcessor().(type) {
		case *pb.Stage_Sql:
			if !duckdb.Built {
				return duckdb.ErrNotBuilt
			}
		case *pb.Stage_Function:
			if _, ok := a.functions.Lookup(p.Function); !ok {
				return fmt.Errorf("no function %q in this program: %s", p.Function, a.functionsToChoose())
			}
		}
	}
	return nil
}

func (a *app) functionsToChoose() string {
	if names := a.functions.Names(); len(names) > 0 {
		return "it has " + strings.Join(names, ", ")
	}
	return "it has none; functions are given to cli.Main by a program of your own"
}

// embedded runs the job in this process, and leaves nothing behind.
func (r *job) embedded(ctx context.Context) error {
	folder, err := embedded.MakeFolder("")
	if err != nil {
		return failed(err)
	}
	err = r.within(ctx, folder)
	if removed := folder.Remove(); removed != nil && err == nil {
		err = failed(fmt.Errorf("remove the temporary folder: %w", removed))
	}
	return err
}

func (r *job) within(ctx context.Context, folder *embedded.Folder) error {
	if err := r.takeStdin(ctx, folder.Path); err != nil {
		return err
	}
	memory := r.memory()
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(goMemory(r.spec, memory))
	}
	startWithoutCollecting()
	cluster, err := embedded.Start(embedded.Config{
		Slots: r.options.slots, MemoryBytes: memory, Folder: folder.Path, Labels: r.spec.GetLabels(),
		WarmSQL:   slices.ContainsFunc(r.spec.GetStages(), func(s *pb.Stage) bool { return s.GetSql() != "" }),
		Functions: r.app.functions, Version: version().Version, Logger: r.app.logger(r.progress),
	})
	if err != nil {
		return failed(err)
	}
	r.client, r.alive = cluster.Client, cluster.Alive()
	err = r.follow(ctx)
	if closed := cluster.Close(); closed != nil && err == nil {
		err = failed(closed)
	}
	return err
}

// startWithoutCollecting puts the first collection of garbage off until the heap
// has some 32 MiB: a small job ends before. From then on all is as usual.
func startWithoutCollecting() {
	if os.Getenv("GOGC") != "" {
		return
	}
	usual := debug.SetGCPercent(800) // of the 4 MiB that a heap has at the least
	runtime.AddCleanup(new([1 << 10]byte), func(percent int) { debug.SetGCPercent(percent) }, usual)
}

// memory is what the worker may use: what the command line says, or else the
// job, or else what fits the machine.
func (r *job) memory() int64 {
	for _, said := range []int64{r.options.memory, r.spec.GetLimits().GetMaxMemoryBytes()} {
		if said > 0 {
			return said
		}
	}
	return embedded.DefaultMemory()
}

// minGoMemory is what Go's own part of the process has at least: below it, it
// would do little but collect garbage.
const minGoMemory = 128 << 20

// goMemory is how much of a worker's memory Go may use before it collects
// garbage harder. Queries run in DuckDB, whose memory is its own and has the
// worker's budget as its limit: Go moves their input and results in small
// buffers, and a quarter is plenty. Where a function of Go's runs too, both may
// take half. Programs and functions alone leave Go all of it.
func goMemory(spec *pb.JobSpec, memory int64) int64 {
	var queries, functions bool
	for _, stage := range spec.GetStages() {
		queries = queries || stage.GetSql() != ""
		functions = functions || stage.GetFunction() != ""
	}
	share := memory
	switch {
	case queries && functions:
		share = memory / 2
	case queries:
		share = memory / 4
	}
	return max(share, minGoMemory)
}

// isInterrupted says whether a context ended by a signal, and with which status.
func isInterrupted(ctx context.Context) (int, bool) {
	var by interrupted
	if errors.As(context.Cause(ctx), &by) {
		return by.status(), true
	}
	return 0, false
}
