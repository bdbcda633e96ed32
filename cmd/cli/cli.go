// Package cli is the command line of Millrace. It is importable: a program of
// one's own with functions of one's own has the same commands by
//
//	func main() { cli.Main(worker.Keyed("words", words, add)) }
//
// What a flag means for a job, what goes to which output in which format, and
// what a process answers with is decided here; how a job runs is not.
//
// # Exit statuses
//
//	0    done; a coordinator or worker that was asked to stop, and has
//	1    the job failed or was cancelled, a refused query or output folder among
//	     the reasons; nobody answers; it is refused or not known
//	2    a wrong command line, job file or setting
//	130  interrupted (143 by SIGTERM); the second signal ends it at once
//
// When whoever reads the result goes away (`millrace run … | head`), the job is
// cancelled and the status is 0: they have what they wanted. Who waits for a job
// of a cluster (`submit --wait`, `watch`) and is interrupted leaves the job as it
// is. A worker's first signal drains it, its second stops it at once.
package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/api"
	"github.com/millrace/millrace/cmd/cli/settings"
	"github.com/millrace/millrace/worker"
	"github.com/millrace/millrace/worker/processor/function"
)

// Exit statuses.
const (
	statusDone   = 0
	statusFailed = 1
	statusUsage  = 2
	statusSignal = 128 // and the signal's number
)

// Main runs the command line of the process, with functions that jobs can name,
// and ends the process.
func Main(functions ...worker.Function) {
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	os.Exit(a.main(os.Args[1:], functions))
}

// app is the command line with what it reads and writes.
type app struct {
	stdin          *os.File
	stdout, stderr *os.File
	functions      *function.Registry

	json      bool   // JSON on standard output
	logLevel  string // as it was given; empty for the command's own
	logFormat string
	level     slog.Level

	command    string             // with those before it: millrace submit
	configPath string             // as it was given
	configFile string             // that was read; empty for none
	settings   []settings.Setting // of the command, once settled
	file       *settings.File     // the config file; nil for none

	patient atomic.Bool     // the second signal ends hurry, and only the third the process
	hurry   context.Context // ends with the second signal
}

// failure is an error with the exit status that it means. A nil err says that
// everything was told already.
type failure struct {
	status int
	err    error
}

func (f *failure) Error() string {
	if f.err == nil {
		return fmt.Sprintf("exit status %d", f.status)
	}
	return f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

// usage is an error of the command line or a job file.
func usage(format string, args ...any) error {
	return &failure{statusUsage, fmt.Errorf(format, args...)}
}

// failed is an error of what the command did.
func failed(err error) error { return &failure{statusFailed, err} }

func (a *app) main(args []string, functions []worker.Function) int {
	registry, err := function.NewRegistry(functions...)
	if err != nil {
		return a.report(usage("the functions of this program: %w", err))
	}
	a.functions = registry
	ctx, stop := a.untilSignal()
	defer stop()
	root := a.root()
	help := &output{to: a.stdout} // whose errors cobra does not tell
	root.SetOut(help)
	root.SetArgs(args)
	return a.report(cmp.Or(root.ExecuteContext(ctx), help.err))
}

// untilSignal makes a context that ends with the first SIGINT or SIGTERM; the
// second one ends the process at once, unless the command is patient. SIGPIPE is
// taken so that a closed pipe is an error of the write; ignored, it would stay so
// in the commands that we run.
func (a *app) untilSignal() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	hurry, hasten := context.WithCancelCause(context.Background())
	a.hurry = hurry
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	go func() {
		cancel(interrupted{<-signals})
		second := interrupted{<-signals}
		if a.patient.Load() {
			hasten(second)
			second = interrupted{<-signals}
		}
		os.Exit(second.status())
	}()
	return ctx, func() { cancel(nil) }
}

// interrupted says by which signal.
type interrupted struct{ by os.Signal }

func (i interrupted) Error() string {
	if i.by == os.Interrupt {
		return "interrupted"
	}
	return "interrupted: " + i.by.String()
}

func (i interrupted) status() int {
	if number, ok := i.by.(syscall.Signal); ok {
		return statusSignal + int(number)
	}
	return statusFailed
}

// report tells of an error, and what to exit with.
func (a *app) report(err error) int {
	if err == nil {
		return statusDone
	}
	var f *failure
	switch known := errors.As(err, &f); {
	case a.isUnwritten(err) && isClosedPipe(err):
		return statusDone // whoever read has enough
	case !known && a.isUnwritten(err):
		f = &failure{statusFailed, err}
	case !known:
		f = &failure{statusUsage, err} // cobra's own: unknown commands and flags
	}
	var faults api.Faults
	switch {
	case f.err == nil:
	case errors.As(f.err, &faults):
		a.tellFaults(faults)
	default:
		fmt.Fprintf(a.stderr, "millrace: %s\n", plainLines(f.err.Error()))
	}
	return f.status
}

// isUnwritten says that an error is of writing to standard output.
func (a *app) isUnwritten(err error) bool {
	broken, ok := errors.AsType[*fs.PathError](err)
	return ok && broken.Op == "write" && broken.Path == a.stdout.Name()
}

// The groups of commands in the help, in the order in which somebody new needs
// them.
const (
	groupHere    = "here"
	groupCluster = "cluster"
	groupJobs    = "jobs"
	groupFleet   = "fleet"
)

// root is the command without which there is none.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "millrace",
		Short: "Run a query, a program or a function over many files",
		Long: `Millrace cuts files into micro-batches, runs a query, a program or a function
over them on all cores of one machine or of many, tries again what fails, and
gathers the results in order.`,
		Example: `  # A query over all files, a program for each file, a job as its file says
  millrace run --sql 'SELECT max(bytes) FROM input' 'logs/*.csv'
  millrace run --command 'wc -w' 'books/**/*.txt'
  millrace run job.yaml

  # The same on a cluster: a coordinator, workers, a job
  millrace coordinator
  millrace worker --data-root /data
  millrace submit --wait job.yaml

  # What can be said of a job, by example
  millrace run --help

Exit statuses:
  0    done
  1    the job failed, or what was asked for could not be done
  2    a wrong command line, job file or setting
  130  interrupted (143 by SIGTERM)`,
		SilenceErrors: true, SilenceUsage: true, SuggestionsMinimumDistance: 2,
		Args: rootArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			a.command = cmd.CommandPath()
			return a.settle(cmd)
		},
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	a.addRootFlags(root)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%w\nSee: %s --help", err, cmd.CommandPath())
	})
	root.Version = version().String()
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetUsageTemplate(usageTemplate(root))
	a.addCommands(root)
	return root
}

func (a *app) addCommands(root *cobra.Command) {
	root.AddGroup(&cobra.Group{ID: groupHere, Title: "A job in this process:"},
		&cobra.Group{ID: groupCluster, Title: "A cluster's processes:"},
		&cobra.Group{ID: groupJobs, Title: "Jobs on a cluster:"},
		&cobra.Group{ID: groupFleet, Title: "Workers, for operators:"})
	add := func(group string, cmds ...*cobra.Command) {
		for _, cmd := range cmds {
			cmd.GroupID = group
		}
		root.AddCommand(cmds...)
	}
	add(groupHere, a.runCommand(), a.checkCommand(), a.schemaCommand())
	add(groupCluster, a.coordinatorCommand(), a.workerCommand(), a.certsCommand())
	add(groupJobs, a.submitCommand(), a.listCommand(), a.getCommand(), a.watchCommand(), a.explainCommand(),
		a.resultCommand(), a.cancelCommand(), a.pauseCommand(), a.resumeCommand(), a.removeCommand())
	add(groupFleet, a.workersCommand(), a.drainCommand(), a.cordonCommand(), a.uncordonCommand())
	add("", a.benchCommand(), a.configCommand(), a.versionCommand())
}

func (a *app) addRootFlags(root *cobra.Command) {
	flags := settings.Flags{FlagSet: root.PersistentFlags()}
	flags.BoolVar(&a.json, "json", false, "print JSON on standard output (a result keeps its own format)")
	flags.Choice(&a.logLevel, logName, "warn; info in coordinator and worker",
		"log from this level on to standard error", logLevels...)
	a.logFormat = "text"
	flags.Choice(&a.logFormat, "log-format", "", "write the log as", logFormats...)
	flags.StringVar(&a.configPath, "config", "", "read settings from this `file`")
	complete(root, "log", logLevels...)
	complete(root, "log-format", logFormats...)
}

// rootArgs refuses what is no command, and knows a job file without its command.
func rootArgs(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case isJobFile(args[0]):
		return usage("unknown command %q; to run a job file: millrace run %s", args[0], args[0])
	}
	text := fmt.Sprintf("unknown command %q", args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		text += ": did you mean " + strings.Join(near, " or ") + "?"
	}
	return usage("%s\nSee: %s --help", text, cmd.CommandPath())
}

// complete names the values of a flag, for shells.
func complete(cmd *cobra.Command, flag string, values ...string) {
	choices := make([]cobra.Completion, len(values))
	copy(choices, values)
	err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // a flag that is not there
	}
}
